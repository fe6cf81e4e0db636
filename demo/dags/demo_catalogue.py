"""The demo's second DAG in Airflow: publishers, the datasets of each of them, and all datasets, into `demo_catalogue_raw`."""

from demo.publishers import CATALOGUE
from include.api_dag import api_dag

dag = api_dag(CATALOGUE, doc_md=__doc__)
