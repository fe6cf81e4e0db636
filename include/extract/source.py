"""One API, or a part of it, as a dlt source: declaration, options and windows -> `rest_api_source`.

In: a declaration, and what is to be read of each resource. Out: a `DltSource` that runs anywhere dlt runs, also in a Python shell:
`dlt.pipeline("datasets", destination="duckdb").run(source_of(DATASETS, ResourceRead(resolve_options(DATASETS))))`.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import parse_qs

import dlt
from dlt.common.schema import Schema
from dlt.extract import DltResource, DltSource
from dlt.sources.rest_api import rest_api_source

from include.apis.api import Api
from include.configure.declaration import Declaration, DeclaredResource, read_declaration
from include.configure.options import SourceOptions
from include.extract.answer import AnswerReader
from include.extract.auth import auth_of
from include.extract.completeness import WholeRead
from include.extract.family import Family
from include.extract.paginators.kinds import paginator_of
from include.extract.paginators.proven import ReadParts, Siblings
from include.extract.processing import processing_of
from include.extract.read import ResourceRead
from include.extract.read_hook import ReadHook
from include.extract.resource import OURS, batches_of, given_hints, ignored_by, key_columns, resource_of
from include.extract.session import ApiSession, open_session
from include.extract.slices import Slicing, slicing_of
from include.extract.stream import ChildStream, GivenStream, RootStream, Stream
from include.extract.traffic import Traffic
from include.redaction import behind_prefix, register, register_values

# For each request at once: so many children are under way or wait to be taken.
CHILDREN_WAITING = 2
# Where the total of most APIs is, and where it is looked for unless somebody says otherwise.
USUAL_TOTAL_PATH = SourceOptions().total_path


def api_source(declaration: Declaration, reads: Mapping[str, ResourceRead], run_id: str = "") -> DltSource:
    """The source of the API's name with the resources of `reads`, and the parents that they need. Sends nothing before it is extracted.

    `run_id` is what a mode that stamps rows stamps them with. The progress of each read is filled while the source is extracted.
    Extraction raises what `session.ApiAdapter.send`, `answer.AnswerReader`, `completeness.WholeRead` and `parse_cursor` raise,
    wrapped by dlt. A collection that moved (`CollectionMoved`) is read again by running the same source again:
    `completeness.PASSES`.
    """
    first = next(iter(reads.values())).options
    for name, read in reads.items():
        _register_secrets(name, read.options)
    session = _session(declaration, first)
    schema = Schema(declaration.api.name)
    streams: dict[str, Stream] = {}
    resources: list[Any] = []
    for name, read in reads.items():
        declared = declaration.resources[name]
        parent = streams[declared.parent] if declared.parent else None
        streams[name] = _stream_of(declared, read, parent, session)
        resource = resource_of(declaration.api.conn_id, declared, read, streams[name], schema)
        if isinstance(resource, dict) and _who(read.options) != _who(first):
            resource["endpoint"].update(auth_of(read.options))
        resources.append(resource)
    source = _dlt_source(declaration, {**_client(declaration, first), "session": session}, resources, schema)
    if any(declaration.resources[name].parent for name in reads):
        # dlt asks for children in a pool of its own, which has five threads unless somebody says otherwise.
        dlt.config["extract.workers"] = first.max_parallel_requests
        dlt.config["extract.max_parallel_items"] = CHILDREN_WAITING * first.max_parallel_requests
    family = Family(source)
    defaults = _defaults(declaration)
    for resource, (name, read) in zip(resources, reads.items(), strict=True):
        declared = declaration.resources[name]
        family.add(
            name,
            streams[name],
            batches_of(declared, read, streams[name], schema, run_id),
            {**defaults, **resource}
            if isinstance(resource, dict)
            else given_hints(declared, read, key_columns(read.options, schema)),
            [child for child in reads if declaration.resources[child].parent == name],
            read.is_loaded,
        )
    return family.source()


def _session(declaration: Declaration, options: SourceOptions) -> ApiSession:
    return open_session(
        options.max_parallel_requests,
        options.requests_per_second,
        retry_statuses=options.retry_statuses,
        api_key=options.api_key,
        base_url=options.base_url,
        other_hosts=declaration.api.other_hosts,
        own_params=options.params,
    )


def _dlt_source(declaration: Declaration, client: dict[str, Any], resources: list[Any], schema: Schema) -> DltSource:
    config: Any = {"client": client, "resource_defaults": _defaults(declaration), "resources": resources}
    return rest_api_source(
        config,
        name=declaration.api.name,
        section=declaration.api.name,
        # Child rows know their root row in every mode, so that a table can change from one mode to another.
        root_key=True,
        schema=schema,
    )


def _defaults(declaration: Declaration) -> dict[str, Any]:
    defaults = declaration.config.get("resource_defaults") or {}
    return {name: _without_auth(hint) for name, hint in defaults.items() if name not in OURS}


def source_of(api: Api, read: ResourceRead, run_id: str = "") -> DltSource:
    """As `api_source`, of the only resource of `api`: for a Python shell."""
    declaration = read_declaration(api)
    (name,) = declaration.resources
    return api_source(declaration, {name: read}, run_id)


def _register_secrets(name: str, options: SourceOptions) -> None:
    if options.api_key:
        register(options.api_key)
        register(behind_prefix(options.api_key))
    # Some write parameters behind the path.
    of_path = parse_qs(options.path.partition("?")[2])
    register_values([options.params, of_path], but=(name, options.cursor_path, *options.key_paths))
    # "Token abc" is a word and a secret.
    register_values([str(value).split() for value in options.headers.values()])


def name_of_source(options: SourceOptions, body: object = None) -> str:
    """Where the records come from: address and path, and a digest of the fixed parameters, whose values may be secrets.

    `body`: the JSON that each request has, a part of the question like the parameters; None: there is none.
    """
    address, _, query = f"{options.base_url}/{options.path.lstrip('/')}".partition("?")
    params = json.dumps(options.params, sort_keys=True, default=str) if options.params else ""
    if not params and not query and not body:
        return address
    params += query + (json.dumps(body, sort_keys=True, default=str) if body else "")
    return f"{address} ({hashlib.sha256(params.encode()).hexdigest()[:12]})"


def _without_auth(hint: Any) -> Any:
    return {name: value for name, value in hint.items() if name != "auth"} if isinstance(hint, dict) else hint


def _who(options: SourceOptions) -> tuple[Any, ...]:
    """All that says who asks."""
    return options.auth, options.api_key, options.username, options.api_key_param, options.api_key_location


def _client(declaration: Declaration, options: SourceOptions) -> dict[str, Any]:
    declared = (declaration.config.get("client") or {}).get("headers") or {}
    register_values([str(value).split() for value in declared.values()])
    return {
        "base_url": options.base_url,
        "headers": {**declared, **options.headers},
        **auth_of(options),
    }


def _stream_of(declared: DeclaredResource, read: ResourceRead, parent: Stream | None, session: ApiSession) -> Stream:
    """The records of one resource on their way, with the paginator that brings them."""
    process = processing_of(declared.name, declared.merged.get("processing_steps") or ())
    if isinstance(declared.given, DltResource):
        return GivenStream(declared, read, process)
    params = declared.endpoint.get("params")
    slicing = slicing_of(read.options, read.window, declared.incremental, params)
    parts = partial(
        _parts, session, options=read.options, ignored=ignored_by(declared), slicing=slicing, traffic=read.traffic
    )
    if parent is None:
        whole = WholeRead(read.progress, read.options.total_path, twice=read.options.read_twice)
        return RootStream(declared, read, paginator_of(read.options, parts(whole)), process)
    return ChildStream(declared, read, parent, parts, process)


def _parts(
    session: ApiSession,
    whole: WholeRead,
    siblings: Siblings | None = None,
    *,
    options: SourceOptions,
    ignored: Sequence[Mapping[str, Any]] = (),
    slicing: Slicing | None = None,
    traffic: Traffic,
) -> ReadParts:
    is_one = options.paginator_kind in ("single_page", "auto")
    return ReadParts(
        whole,
        AnswerReader(options.data_selector, options.total_path, options.key_paths, is_one),
        options.path,
        total_is_set=options.total_path not in (None, USUAL_TOTAL_PATH),
        siblings=siblings,
        ignored=ignored,
        fetch_ahead=session.fetch_ahead,
        on_end=partial(_end_read, session),
        slicing=slicing,
        on_slice_end=session.end_read,
        traffic=traffic,
    )


def _end_read(session: ApiSession, hook: ReadHook, read: WholeRead) -> None:
    session.end_read(hook)
    if session.own_key.replaced_values:
        read.progress.notes["values_with_the_key_replaced"] = session.own_key.replaced_values
