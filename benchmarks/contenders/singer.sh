#!/bin/bash
# tap-rest-api-msdk into target-duckdb or target-postgres: environments, URL, destination, working folder.
# The paging keys are at the top level: at the level of the stream, one page is read and all is green.
set -euo pipefail
environments=$1 url=$2 destination=$3 work=$4
export MELTANO_DISABLE_TRACKING=1
cat >"$work/tap.json" <<JSON
{"api_url": "$url", "auth_method": "no_auth",
 "pagination_request_style": "simple_offset_paginator", "pagination_response_style": "offset",
 "pagination_page_size": 100, "pagination_initial_offset": 0, "pagination_next_page_param": "offset",
 "pagination_limit_per_page_param": "limit", "offset_records_jsonpath": "\$.data",
 "streams": [{"name": "datasets", "path": "/v1/datasets", "params": {"api_key": "key", "limit": 100},
              "primary_keys": ["id"], "records_path": "\$.data[*]", "num_inference_records": 100}]}
JSON
case $destination in
    postgresql://*)
        target=$environments/target-postgres/bin/target-postgres
        cat >"$work/target.json" <<JSON
{"sqlalchemy_url": "$destination", "default_target_schema": "bench", "load_method": "upsert",
 "activate_version": false, "use_copy": true}
JSON
        ;;
    *)
        target=$environments/target-duckdb/bin/target-duckdb
        name=$(basename "$destination" .duckdb)
        cat >"$work/target.json" <<JSON
{"path": "$destination", "database": "$name", "default_target_schema": "bench", "batch_size_rows": 100000,
 "temp_dir": "$work"}
JSON
        ;;
esac
"$environments/tap/bin/tap-rest-api-msdk" --config "$work/tap.json" | "$target" --config "$work/target.json"
