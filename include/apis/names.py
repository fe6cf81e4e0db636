"""Names that users and the warehouse know: connections, schema, tables. Each stands here and nowhere else."""

API_CONN_ID = "datasets_api"
DESTINATION_CONN_ID = "datasets_destination"
# dlt's `dataset_name`.
DESTINATION_SCHEMA = "datasets_raw"
REPORTS_TABLE = "_load_reports"
