"""Rules that name mistakes, one file each: `check(case) → suspicions`; corrections are tried before they are offered."""

from konv.doctor._case import inputs_for
from konv.doctor._check import check
from konv.doctor._diagnose import Diagnosis, diagnose, diagnose_script
from konv.doctor._script import Script, read_script, save

__all__ = ["Diagnosis", "Script", "check", "diagnose", "diagnose_script", "inputs_for", "read_script", "save"]
