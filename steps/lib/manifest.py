"""The campaign in its store: registered once, with everything it pins; a changed one is refused."""

from datetime import UTC, datetime

from steps.lib import components
from steps.lib.catalog import Job
from steps.lib.errors import InputError
from steps.lib.plan import Plan, Unsupported, digest, make_plan, planned_rows
from steps.lib.store import Store, read_rows, write_rows
from steps.lib.tables import METHOD_VERSION
from steps.lib.targets.protocol import Target
from steps.lib.tuning import unsupported


def require(target: Target) -> None:
    """Refuse a machine that cannot be the target, with what to do about it.

    Raises:
        InputError: rights, programs or kernel features are missing.
    """
    missing = target.missing_requirements()
    if missing:
        raise InputError(f"target {target.name} cannot be used:\n  " + "\n  ".join(missing))


def plan_on(job: Job, target: Target) -> Plan:
    """The plan, with what the target cannot do marked."""
    plugins = {p.name: why for p in job.plugins if (why := target.unsupported(p))}
    profiles = {p.name: why for p in job.profiles if (why := unsupported(target, p))}
    return make_plan(job, Unsupported(plugins, profiles))


def register(job: Job, target: Target, store: Store) -> None:
    """Write manifest and planned cells, or prove that those in the store are the same.

    Raises:
        InputError: the store holds a campaign of this name that pins something else.
    """
    name = job.campaign.name
    wanted = digest(job, target.facts(target.nodes()[0]).toolbox_digest, components.rules())
    stored = read_rows(store, "campaigns", campaign=name)
    if stored:
        _compare(name, stored[0]["digest"], wanted)
        return
    plan = plan_on(job, target)
    write_rows(store, "planned", planned_rows(plan), campaign=name)
    row = {
        "campaign": name,
        "title": job.campaign.title,
        "target": f"{target.kind}/{target.name}",
        "environment_class": target.environment_class,
        "digest": wanted,
        "document": job.model_dump_json(),
        "baseline_plugin": plan.baseline,
        "method_version": METHOD_VERSION,
        "created_at": datetime.now(UTC),
    }
    if not write_rows(store, "campaigns", [row], campaign=name):
        register(job, target, store)


def registered(store: Store, campaign: str) -> Job:
    """The job of a campaign, as it was registered.

    Raises:
        InputError: the store has no such campaign.
    """
    stored = read_rows(store, "campaigns", campaign=campaign)
    if not stored:
        raise InputError(
            f"campaign {campaign!r} is not registered in store {store.address}: start it by "
            "`cnibench run`, or on Argo by its own template"
        )
    return Job.model_validate_json(stored[0]["document"])


def _compare(name: str, stored: str, wanted: str) -> None:
    if stored != wanted:
        raise InputError(
            f"campaign {name!r} in this store was run with other contents (digest {stored[:12]}, "
            f"now {wanted[:12]}): its file, a catalog entry it names, {components.FILE}, the tools "
            "or the method changed. Give the campaign a new `name`, or use another --store"
        )
