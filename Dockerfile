# The project's image: Airflow's public one with the locked requirements and the project baked in, for Compose and
# Kubernetes alike. What runs is what was built: nothing is installed or mounted over it when a container starts. Code is root's, and
# the process is not root: what runs cannot change what it runs.
FROM apache/airflow:3.3.2-python3.13 AS production

# DAG files import `include`, and Airflow does not put the project on the path.
ENV PYTHONPATH=/opt/airflow \
    PROVIDERS__ENABLE_AIRFLOW_SECRETS=false \
    RUNTIME__DLTHUB_TELEMETRY=false

COPY --chown=root:0 requirements.txt constraints.txt /opt/airflow/
# celery and kombu are the image's own, but a newer celery cannot be imported by its provider: they are held where the
# tests have run. The last line fails the build, not the first start, when two of the image's packages do not fit.
RUN pip install --no-cache-dir -r requirements.txt \
        apache-airflow-providers-celery celery kombu flower -c constraints.txt \
 && python -c "import airflow.providers.celery.executors.celery_executor, airflow.providers.fab.auth_manager.fab_auth_manager"

COPY --chown=root:0 dags /opt/airflow/dags
COPY --chown=root:0 include /opt/airflow/include
COPY --chown=root:0 plugins /opt/airflow/plugins
RUN python -c "import include.pipeline, include.extract.source, include.load.destination"

USER airflow
# For a container that says nothing better; docker-compose.yaml asks each process itself.
HEALTHCHECK --interval=60s --timeout=30s --start-period=60s CMD ["airflow", "db", "check"]

# The demo API, which `make up` reads until secrets/connections.json names yours.
FROM production AS demo
COPY --chown=root:0 requirements-demo.txt /opt/airflow/
RUN pip install --no-cache-dir -r requirements-demo.txt -c constraints.txt
COPY --chown=root:0 demo /opt/airflow/demo
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s CMD ["curl", "--fail", "--silent", "http://127.0.0.1:8765/health"]

# `docker build .` without --target makes the image for production.
FROM production
