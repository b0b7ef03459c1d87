"""Encodings that are told by whether the letters make sense, and where UTF-8 ends."""

from __future__ import annotations

import pytest

from aircan.ports import never
from aircan.text.encoding import detect

TABLES = {
    "french": "id,nom\n1,Café à la crème\n2,élève français\n3,Noël\n4,Besançon\n",
    "french capitals": "VILLE,N\nORLÉANS,1\nÉVREUX,2\nSAINT-ÉTIENNE,3\nNÎMES,4\n",
    "german": "Stadt,Straße\nKöln,Größe\nMünchen,Übung\nDüsseldorf,Königsallee\n",
    "german capitals": "NAME\nMÜLLER\nGROßMANN\nÖZGÜR\n",
    "spanish": "a,b\nEspaña,Año\nCórdoba,niño\n¿Qué?,Málaga\n",
    "portuguese": "a,b\nSão Paulo,ação\nAmapá,Goiânia\nCeará,Paraíba\n",
    "signs": "a;b\n§5;«É»\n100 €;½ l\n“quoted” – dash;20 °C\n",
    "polish": "a,b\nŁódź,Kraków\nGdańsk,Wrocław\n",
    "russian": "имя,город\nИван,Москва\nПётр,Санкт-Петербург\nАнна,Новосибирск\n",
    "greek": "όνομα,πόλη\nΓιώργος,Αθήνα\nΜαρία,Θεσσαλονίκη\n",
    "chinese": "城市,人口\n北京,2189\n上海,2487\n广州市,1868\n深圳,1756\n",
    "taiwanese": "城市,人口\n台北市,260\n高雄市,270\n新北市,400\n",
    "japanese": "都市,人口\n東京,1396\n大阪市,275\nさいたま市,132\nカタカナ,2\n",
    "korean": "도시,인구\n서울,941\n부산,335\n대구광역시,241\n",
}
WESTERN = ["cp1252", "mac-roman", "cp850"]
ENCODINGS = {
    **{name: WESTERN for name in ("french", "french capitals", "german", "spanish", "portuguese")},
    "german capitals": ["cp1252"],
    "signs": ["cp1252"],
    "polish": ["cp1250"],
    "russian": ["cp1251", "koi8-r", "cp866"],
    "greek": ["cp1253"],
    "chinese": ["gb18030"],
    "taiwanese": ["big5"],
    "japanese": ["cp932", "euc_jp"],
    "korean": ["cp949"],
}
PAIRS = [(name, encoding) for name, encodings in ENCODINGS.items() for encoding in encodings]


def found(data, tmp_path):
    path = tmp_path / "x"
    path.write_bytes(data)
    return detect(path, stop=never())


@pytest.mark.parametrize(("name", "encoding"), PAIRS)
def test_the_encoding_whose_letters_make_sense(name, encoding, tmp_path):
    result = found(TABLES[name].encode(encoding), tmp_path)
    assert (result.name, result.evidence) == (encoding, "fallback" if encoding == "cp1252" else "letters")


@pytest.mark.parametrize("name", TABLES)
def test_utf8_is_utf8_whatever_the_letters(name, tmp_path):
    assert (found(TABLES[name].encode(), tmp_path).name, found(TABLES[name].encode(), tmp_path).evidence) == (
        "utf-8",
        "valid",
    )


WORDS = ["café", "naïve", "São", "Ærø", "Þór", "Åse", "L’Haÿ", "œuvre", "Škoda", "Ñandú", "ÄÖÜ", "élève", "ÉTÉ", "€"]


@pytest.mark.parametrize("word", WORDS)
def test_one_western_word_is_windows_1252(word, tmp_path):
    result = found(f"a,b\n{word},1\n{word},2\n{word},3\n".encode("cp1252"), tmp_path)
    assert (result.name, result.evidence) == ("cp1252", "fallback")


@pytest.mark.parametrize(
    ("good", "broken", "name", "damaged"),
    [(2, 1, "utf-8", True), (1, 1, "cp1252", False), (100, 99, "utf-8", True), (0, 1, "cp1252", False)],
)
def test_utf8_with_more_good_characters_than_broken_bytes_is_damaged_utf8(good, broken, name, damaged, tmp_path):
    result = found(b"a\n" + "é\n".encode() * good + b"\xe9\n" * broken, tmp_path)
    assert (result.name, result.damaged) == (name, damaged)
