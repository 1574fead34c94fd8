"""Chromium without a window, and what it tells of the pages that it opens.

As a program, it installs Chromium where it is missing.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

_COMMANDS = {"chromium": "chromium", "chromedriver": "chromium-driver"}
"""Each command we need, with the Debian package that has it."""
_PATIENCE = 60  # seconds


def install() -> None:
    """Install what is missing."""
    missing = [each for name, each in _COMMANDS.items() if not shutil.which(name)]
    if not missing:
        return
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    packages = ["install", "-q", "-y", "--no-install-recommends", *missing]
    for words in (["update", "-q"], packages):
        subprocess.run(["apt-get", *words], env=env, check=True)


class Browser:
    """A browser, in which one page is open at a time."""

    def __init__(self) -> None:
        from selenium import webdriver

        options = webdriver.ChromeOptions()
        options.binary_location = str(shutil.which("chromium"))
        for word in ("headless=new", "no-sandbox", "disable-dev-shm-usage"):
            options.add_argument(f"--{word}")
        logs = {"browser": "ALL", "performance": "ALL"}
        options.set_capability("goog:loggingPrefs", logs)
        service = webdriver.ChromeService(shutil.which("chromedriver"))
        self.driver: Any = webdriver.Chrome(options, service)
        self.size(1200, 900)

    def quit(self) -> None:
        self.driver.quit()
        self.driver.service.stop()

    def size(self, width: int, height: int) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1}
        command = "Emulation.setDeviceMetricsOverride"
        self.driver.execute_cdp_cmd(command, {**metrics, "mobile": False})

    def prefer(self, scheme: str) -> None:
        """Prefer ``light`` or ``dark``."""
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.driver.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"features": [feature]}
        )

    def media(self, name: str) -> None:
        """Show the page as ``print`` or ``screen`` does; an empty name ends that."""
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": name})

    def open(self, path: Path, hash_: str = "") -> None:
        """Open a page, and wait until it shows its task."""
        # A page of another hash only would not be loaded again.
        self.driver.get("about:blank")
        self.driver.get(f"{path.as_uri()}{hash_}")
        self.wait("return document.documentElement.dataset.ready === 'yes'")

    def wait(self, script: str) -> None:
        """Wait until a script returns what is true."""
        from selenium.webdriver.support.ui import WebDriverWait

        WebDriverWait(self.driver, _PATIENCE).until(lambda d: d.execute_script(script))

    def script(self, text: str, *arguments: Any) -> Any:
        return self.driver.execute_script(text, *arguments)

    def element(self, selector: str) -> Any:
        return self.driver.find_element("css selector", selector)

    def text(self, selector: str) -> str:
        return str(
            self.script(
                "return document.querySelector(arguments[0]).textContent", selector
            )
        )

    def choose(self, id_: str, value: str) -> None:
        """Choose an option of a control as a user does."""
        from selenium.webdriver.support.ui import Select

        Select(self.element(f"#{id_}")).select_by_value(value)

    def options(self, id_: str) -> list[str]:
        script = "return [...document.getElementById(arguments[0]).options]"
        return list(self.script(f"{script}.map(option => option.value)", id_))

    def table(self, id_: str) -> list[list[Any]]:
        """Return the cells of a table: numbers as such, else texts."""
        rows = self.script(
            "return [...document.querySelectorAll(`#${arguments[0]} tbody tr`)].map("
            "row => [...row.cells].map("
            "cell => [cell.dataset.value ?? null, cell.textContent]))",
            id_,
        )
        return [[text if v is None else float(v) for v, text in row] for row in rows]

    def head(self, id_: str) -> list[str]:
        script = "return [...document.querySelectorAll(`#${arguments[0]} th`)]"
        return list(self.script(f"{script}.map(cell => cell.textContent)", id_))

    def messages(self) -> list[str]:
        """Return what was written to the console since the last call."""
        return [each["message"] for each in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """Return the addresses that were asked for since the last call."""
        found = []
        for each in self.driver.get_log("performance"):
            message = json.loads(each["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                found.append(message["params"]["request"]["url"])
        return found


if __name__ == "__main__":
    install()
