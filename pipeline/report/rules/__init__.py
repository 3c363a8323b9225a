"""The rules behind the report's sentences: each module argues one part, from a Study alone.

A comparative ("more accurate", "faster") is only written when a rule found it supported; otherwise
the sentence says that the runs cannot tell, and gives the interval.
"""
