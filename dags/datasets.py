"""Loads the datasets API into the table `datasets_raw.datasets`, every day, on demand, and for any past window.

**Before the first run** add the Airflow connection `datasets_api` (type HTTP): host = the API's address, password = the
API key. Add `datasets_destination` for your warehouse; without it the rows go to a DuckDB file in `data/`.

**When it fails**, the last error in the task's log says what happened and what to do. Failures that a retry cannot mend
(a wrong key, a wrong address, an answer of the wrong shape) end at once; the others are tried again, with growing
delays. A failed run leaves the table as it was, and running it twice changes nothing.

**What was loaded** is in the table `datasets_raw._load_reports`, one row per load, and in the events of the asset.
"""

# Airflow looks for DAGs only in files in which it finds the words "dag" and "airflow".
from include.api_dag import api_dag
from include.apis.datasets import DATASETS

dag = api_dag(DATASETS, doc_md=__doc__)
