"""What `typing` offers only from Python 3.12 on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import override as override
else:

    def override(method: Any) -> Any:
        """Mark a method that overrides one of a base class, and has its docstring."""
        return method
