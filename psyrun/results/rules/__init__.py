"""Rules: in words, which assignments are special, such as those that failed."""

from psyrun.results.rules.search import Rule, Rules, find_rule

__all__ = ["Rule", "Rules", "find_rule"]
