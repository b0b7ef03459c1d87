"""Settings of resources

Revision ID: aircan_0002
Revises: aircan_0001
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "aircan_0002"
down_revision = "aircan_0001"
branch_labels = None
depends_on = None

SETTING = "aircan_connector_setting"


def upgrade():
    op.create_table(
        SETTING,
        sa.Column("resource", sa.Text, primary_key=True),
        sa.Column("params", JSONB, nullable=False, server_default="{}"),
        sa.Column("updated", sa.DateTime(timezone=True), nullable=False),
        sa.Column("user", sa.Text),
    )


def downgrade():
    op.drop_table(SETTING)
