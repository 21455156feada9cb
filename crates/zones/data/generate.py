#!/usr/bin/env python3
"""Writes zones.txt and countries.txt beside this script, from libphonenumber's data as the package `phonenumbers` has them.

    pip download --no-deps phonenumbers && unzip -q phonenumbers-*.whl -d phonenumbers-data
    PYTHONPATH=phonenumbers-data python3 crates/zones/data/generate.py

zones.txt is the table that libphonenumber's PhoneNumberToTimeZonesMapper uses, without prefixes that have the zones of a shorter one.

countries.txt tells the region of a number by its first digits. libphonenumber has no such table: it matches the number with the
patterns of each region of a country code. This script asks it for random numbers of each prefix, and descends where they differ. A
test compares the table with libphonenumber's answers for other random numbers.
"""

import pathlib
import random

import phonenumbers
from phonenumbers.data import _COUNTRY_CODE_TO_REGION_CODE as REGIONS
from phonenumbers.phonenumberutil import _region_code_for_number_from_list
from phonenumbers.tzdata import TIMEZONE_DATA as ZONES

NOTICE = """\
# {what}
#
# From libphonenumber, by way of the Python package phonenumbers {version}, changed by generate.py.
#
# Copyright (C) 2011-2026 The Libphonenumber Authors
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#  http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.
"""

# Numbers tried of each prefix, and digits to which the search always descends: a smaller part of a prefix than a tenth is found there.
TRIED = 80
DESCENDS = 4
DEEPEST = 8

random.seed(1)


def region(code, national):
    number = phonenumbers.PhoneNumber(country_code=code, national_number=int(national))
    if national.startswith("0"):
        number.italian_leading_zero = True
        number.number_of_leading_zeros = len(national) - len(national.lstrip("0"))
    return _region_code_for_number_from_list(number, REGIONS[code])


def lengths(code):
    found = set()
    for name in REGIONS[code]:
        metadata = phonenumbers.PhoneMetadata.metadata_for_region(name, None)
        found |= set(metadata.general_desc.possible_length)
    return sorted(found)


def descend(code, prefix, possible, inherited, table):
    tried = set()
    for length in possible:
        for _ in range(TRIED):
            rest = length - len(prefix)
            if rest >= 0:
                national = prefix + "".join(random.choice("0123456789") for _ in range(rest))
                tried.add(region(code, national))
    tried.discard(None)
    if not tried and len(prefix) >= DESCENDS:
        return
    if len(tried) == 1 and tried != {inherited}:
        inherited = tried.pop()
        table[f"{code}{prefix}"] = inherited
        tried = {inherited}
    if (len(tried) > 1 or len(prefix) < DESCENDS) and len(prefix) < DEEPEST:
        for digit in "0123456789":
            descend(code, prefix + digit, possible, inherited, table)


def without_repetitions(table):
    def shorter(prefix):
        return next((table[prefix[:end]] for end in range(len(prefix) - 1, 0, -1) if prefix[:end] in table), None)

    return {prefix: value for prefix, value in table.items() if value != shorter(prefix)}


def write(name, what, table):
    here = pathlib.Path(__file__).parent
    with open(here / name, "w", encoding="ascii") as file:
        file.write(NOTICE.format(what=what, version=phonenumbers.__version__))
        for prefix in sorted(table):
            file.write(f"{prefix}|{table[prefix]}\n")


countries = {}
for code, names in sorted(REGIONS.items()):
    if names[0] == "001":
        continue
    countries[str(code)] = names[0]
    if len(names) > 1:
        descend(code, "", lengths(code), names[0], countries)
# In North America the area code tells. What differs within one are patterns of numbers that can't be dialled.
countries = {prefix: name for prefix, name in countries.items() if prefix[0] != "1" or len(prefix) <= 4}
write("countries.txt", "Regions (ISO 3166-1) by the first digits of a number.", without_repetitions(countries))

zones = {prefix: "&".join(zones) for prefix, zones in ZONES.items()}
write("zones.txt", "Time zones (IANA) by the first digits of a number.", without_repetitions(zones))
