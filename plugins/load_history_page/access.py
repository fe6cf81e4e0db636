"""Who may see the loads of which DAG: whoever Airflow's auth manager lets read its XComs, where Airflow shows the same.

In: a request, whose token Airflow checks. Out: nothing, or 401 or 403.
"""

from collections.abc import Iterable

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import requires_access_dag
from airflow.models.dag import DagModel
from fastapi import Depends
from sqlalchemy.orm import Session

# For a route with `dag_id` in its path.
MAY_READ_DAG = [Depends(requires_access_dag("GET", entity)) for entity in (None, DagAccessEntity.XCOM)]


def readable(dag_ids: Iterable[str], user: BaseUser, session: Session) -> set[str]:
    """Those of `dag_ids` that `user` may read, asked as `MAY_READ_DAG` asks for one."""
    manager = get_auth_manager()
    allowed = manager.get_authorized_dag_ids(user=user, session=session) & set(dag_ids)
    teams = DagModel.get_dag_id_to_team_name_mapping(list(allowed), session=session)
    return {
        dag_id
        for dag_id in allowed
        if manager.is_authorized_dag(
            method="GET",
            access_entity=DagAccessEntity.XCOM,
            details=DagDetails(id=dag_id, team_name=teams.get(dag_id)),
            user=user,
        )
    }
