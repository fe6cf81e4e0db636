# For bin/airflow and bin/check-api, which source it with `project` set: the environment of this project's commands. Values already in
# the environment win.
# Passwords, logs and data are their owner's alone.
umask 077
venv=$project/.venv

default() { # name value: for a variable that is not set
    eval "[ -n \"\${$1+set}\" ]" || export "$1=$2"
}

default AIRFLOW_HOME "$project/.airflow"
default AIRFLOW__CORE__DAGS_FOLDER "$project/dags"
default AIRFLOW__CORE__PLUGINS_FOLDER "$project/plugins"
default AIRFLOW__CORE__LOAD_EXAMPLES False
# Airflow starts one process for each slot, 32 by default: too many for a small machine.
default AIRFLOW__CORE__PARALLELISM 4
# dlt's own look-ups in Airflow Variables, about 300 a run: the connections answer instead.
default PROVIDERS__ENABLE_AIRFLOW_SECRETS false
default RUNTIME__DLTHUB_TELEMETRY false
# DAG files import `include`, and Airflow does not put the project on the path.
export PYTHONPATH="$project${PYTHONPATH:+:$PYTHONPATH}"
# `airflow standalone` looks for `airflow` on PATH.
export PATH="$venv/bin:$PATH"

if [ ! -e "$venv/.installed-run" ]; then
    make -s -C "$project" install >&2
fi

migrate() {
    version=$(sed -n 's/^apache-airflow==//p' "$project/requirements.txt")
    stamp=$AIRFLOW_HOME/.migrated-$version
    [ ! -e "$stamp" ] || return 0
    # A home of this project has a stamp, of this version or of an earlier one, or was not finished: then the log of it.
    if [ -e "$AIRFLOW_HOME/airflow.db" ] && [ ! -e "$AIRFLOW_HOME/migrate.log" ]; then
        echo "$AIRFLOW_HOME was made by another Airflow, and its database was left as it is: unset AIRFLOW_HOME for a home of" \
            "this project's own, or name another folder. To use that one with Airflow $version, back up its airflow.db, run" \
            "bin/airflow db migrate, and then touch $stamp." >&2
        exit 1
    fi
    mkdir -p "$AIRFLOW_HOME"
    # Two commands at once on a new home: the second waits, and finds the work done.
    exec 9>"$AIRFLOW_HOME/.migrate.lock"
    ! command -v flock >/dev/null || flock 9
    if [ ! -e "$stamp" ]; then
        echo "Setting up Airflow's metadata database in $AIRFLOW_HOME" >&2
        if ! "$venv/bin/airflow" db migrate >"$AIRFLOW_HOME/migrate.log" 2>&1 9>&-; then
            echo "Airflow's metadata database could not be set up; $AIRFLOW_HOME/migrate.log says why." >&2
            exit 1
        fi
        touch "$stamp"
    fi
    exec 9>&-
}
