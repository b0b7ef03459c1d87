"""Jobs and their events

Revision ID: aircan_0001
Revises:
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "aircan_0001"
down_revision = None
branch_labels = None
depends_on = None

JOB = "aircan_connector_job"
EVENT = "aircan_connector_job_event"
ACTIVE = sa.text("status IN ('RUNNING', 'WAITING')")


def upgrade():
    moment = sa.DateTime(timezone=True)
    op.create_table(
        JOB,
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("factory_id", sa.Text),
        sa.Column("job_type", sa.Text, nullable=False),
        sa.Column("created", moment, nullable=False),
        sa.Column("updated", moment, nullable=False),
        sa.Column("dataset", sa.Text, nullable=False),
        sa.Column("resource", sa.Text, nullable=False),
        sa.Column("user", sa.Text),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("info", JSONB, nullable=False, server_default="{}"),
        sa.Column("factory", sa.Text, nullable=False),
        sa.Column("dag_id", sa.Text),
        sa.Column("fingerprint", sa.Text),
        sa.Column("retry_of", sa.Text),
        sa.Column("last_report", moment),
        sa.Column("started", moment),
        sa.Column("finished", moment),
        sa.CheckConstraint(
            "status IN ('WAITING', 'RUNNING', 'DONE', 'FAILED', 'CANCELLED')", name="aircan_connector_job_status"
        ),
    )
    op.create_index(f"{JOB}_active", JOB, ["resource", "job_type", "status"], unique=True, postgresql_where=ACTIVE)
    op.create_index(f"{JOB}_lease", JOB, ["last_report"], postgresql_where=ACTIVE)
    op.create_index(f"{JOB}_created", JOB, ["created", "id"])
    op.create_index(f"{JOB}_dataset", JOB, ["dataset", "created", "id"])
    op.create_index(f"{JOB}_resource", JOB, ["resource", "created", "id"])
    op.create_index(f"{JOB}_user", JOB, ["user", "created", "id"])
    op.create_index(f"{JOB}_status_created", JOB, ["status", "created", "id"])
    op.create_index(f"{JOB}_factory_id", JOB, ["factory_id"])
    op.create_table(
        EVENT,
        sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=True),
        sa.Column("job", sa.Text, nullable=False),
        sa.Column("time", moment, nullable=False),
        sa.Column("task", sa.Text),
        sa.Column("level", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False, server_default=""),
        sa.Column("data", JSONB),
    )
    op.create_index(f"{EVENT}_job", EVENT, ["job", "id"])


def downgrade():
    op.drop_table(EVENT)
    op.drop_table(JOB)
