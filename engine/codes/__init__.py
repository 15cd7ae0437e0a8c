"""Every code that an error, a warning or a finding can carry: what it means, and what to do.

A code never changes its meaning. docs/error-codes.md is made of these tables
(engine/codes/document.py), and a test looks for a code without a row.
"""

from fairlead.engine.codes.code import Code

__all__ = ["Code"]
