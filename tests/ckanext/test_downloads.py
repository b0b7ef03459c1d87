"""What may stand in a cell of a download; the downloads themselves are tested with the pages."""

from __future__ import annotations

import pytest

from ckanext.aircan_connector.downloads import safe_cell


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "\nx", "＝1"])
def test_no_cell_of_a_download_is_a_formula(text):
    assert safe_cell(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "a=1", "'=1", "1-1", "ä"])
def test_other_cells_stay_as_they_are(text):
    assert safe_cell(text) == text
