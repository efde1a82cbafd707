"""Names of months, as plants and offices around the world write them."""

from __future__ import annotations

from typing import Final

_NAMES: Final = (
    "jan january januar januari janvier janv jän jänner ene enero janeiro gen gennaio sty stycznia янв января oca",
    "feb february februar februari fév févr février febrero fev fevereiro febbraio lut lutego фев февр февраля şub",
    "mar march mär märz mrz mars marzo mrt maart março marca мар марта mart",
    "apr april avr avril abr abril aprile kwi kwietnia апр апреля nis nisan",
    "may mai mayo maio mag maggio mei maj maja мая май mayıs",
    "jun june juni juin junio junho giu giugno cze czerwca июн июня haz haziran",
    "jul july juli juil juillet julio julho lug luglio lip lipca июл июля tem temmuz",
    "aug august augusti août aoû ago agosto augustus sie sierpnia авг августа ağu",
    "sep sept september septembre septiembre set setembro settembre wrz września сен сент сентября eyl",
    "oct october okt oktober octobre octubre out outubro ott ottobre paź października окт октября eki",
    "nov november novembre noviembre novembro lis listopada ноя нояб ноября kas",
    "dec december dez dezember déc décembre dic diciembre dezembro dicembre desember grudnia gru дек декабря ara",
)
MONTHS: Final = {name: number for number, names in enumerate(_NAMES, 1) for name in names.split()}
"""Small letters, without a point behind -> 1 to 12."""
