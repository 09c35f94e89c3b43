"""The edge to Prefect: with `launch_sdk.agent`, the only part of the library that imports it."""
