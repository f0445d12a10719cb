"""docs/reference/configuration.md names every key that Argo may hold, and nothing else."""

from studio9_argo.settings import ArgoSettings
from studio9_aries.settings import AriesSettings
from studio9_baile.settings import BaileSettings
from studio9_cli.project import root
from studio9_common.contracts.configuration import SHARED_KEYS
from studio9_common.live import live_fields
from studio9_common.settings import ServiceSettings
from studio9_orion.scheduler.rules import SCHEMAS, Rules
from studio9_orion.settings import OrionSettings
from studio9_pegasus.settings import PegasusSettings
from studio9_taurus.settings import TaurusSettings
from studio9_worker.settings import WorkerSettings

SERVICES: tuple[type[ServiceSettings], ...] = (
    AriesSettings, ArgoSettings, BaileSettings, OrionSettings, PegasusSettings, TaurusSettings, WorkerSettings,
)  # fmt: skip

RULES = Rules()
SCHEDULING = {
    "classes": ", ".join(RULES.classes),
    "weight": str(RULES.weight),
    "organisation_limit": "",
    "project_limit": "",
}


def documented() -> dict[tuple[str, str], str]:
    """Defaults by service and key, as the page has them."""
    text = (root() / "docs/reference/configuration.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1:-1] for line in text.splitlines() if line.startswith("| `")]
    return {(row[0].strip(" `"), row[1].strip(" `")): row[2].strip() for row in rows}


def known() -> dict[tuple[str, str], str]:
    """The same, as the code has them."""
    live = {
        (settings.service, name): str(settings.model_fields[name].default)
        for settings in SERVICES
        for name in live_fields(settings)
    }
    live |= {("orion", key): default for key, default in SCHEDULING.items()}
    return live | {(shared.service, shared.key): "" for shared in SHARED_KEYS}


def test_every_key_is_documented_with_its_default() -> None:
    assert set(SCHEDULING) == set(SCHEMAS)
    assert documented() == known()


def test_no_address_or_credential_is_live() -> None:
    for settings in SERVICES:
        for name in live_fields(settings):
            assert not any(word in name for word in ("url", "key", "secret", "password", "endpoint", "token")), name
