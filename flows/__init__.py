"""The Prefect flows of the product: each an imperative shell around the library's pure core."""
