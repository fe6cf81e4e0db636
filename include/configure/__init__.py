"""What somebody has set, as typed values.

In: Airflow connections, the environment, `dags/.dlt/config.toml`, the catalogue. Out: frozen values, or a ConfigurationError that
names the field. Nothing is opened or sent from here.
"""
