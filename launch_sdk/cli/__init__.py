"""The commands: `launch`, `launch-agent`, `launch-sweep`. Each says what it does at once and imports Prefect after."""
