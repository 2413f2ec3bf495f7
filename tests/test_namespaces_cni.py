"""The CNI runtime: what plugins are told, and what people are told when a plugin fails."""

import json
from pathlib import Path
from typing import Any

import pytest

from steps.lib import tools
from steps.lib.catalog import Catalog
from steps.lib.errors import CnibenchError, InputError, RefusedError, TransientError
from steps.lib.models import CniChain, Plugin, Source
from steps.lib.targets.namespaces import cni, conflist
from steps.lib.targets.namespaces.cni import Attachment, Runtime
from steps.lib.targets.namespaces.links import netlink
from tests.namespaces import pod, prepared, target_named

pytestmark = pytest.mark.namespaces

RECORDER = """#!/bin/sh
cat >"$0.$CNI_COMMAND.json"
env | grep ^CNI_ | sort >"$0.$CNI_COMMAND.env"
echo "$CNI_COMMAND $(basename "$0")" >>"$(dirname "$0")/calls"
[ "$CNI_COMMAND" != ADD ] || echo '{"cniVersion":"1.0.0","ips":[{"address":"10.1.2.3/24"}]}'
"""


@pytest.fixture
def recording(tmp_path: Path) -> Runtime:
    """Two plugins that write down what they are told."""
    for name in ("first", "second"):
        (tmp_path / name).write_text(RECORDER)
        (tmp_path / name).chmod(0o755)
    return Runtime(tmp_path)


def attachment(namespace: str, *plugins: dict[str, Any], **fields: Any) -> Attachment:
    return Attachment(
        container_id="pod-1",
        node_namespace=namespace,
        namespace=namespace,
        device="eth0",
        conflist={"cniVersion": "1.0.0", "name": "net", "plugins": list(plugins)},
        **fields,
    )


def failing(tmp_path: Path, script: str) -> Runtime:
    (tmp_path / "broken").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "broken").chmod(0o755)
    return Runtime(tmp_path)


def variant(name: str, **changes: Any) -> Plugin:
    """A plugin of the catalog with fields of its first CNI plugin changed."""
    document = Catalog().plugins.load(name).model_dump(mode="json")
    document["install"]["plugins"][0] |= changes
    return Plugin.model_validate(document)


def test_plugins_get_what_the_specification_says(recording: Runtime, tmp_path: Path) -> None:
    first = {"type": "first", "capabilities": {"portMappings": True, "bandwidth": True}, "x": 1}
    ports: Any = [{"hostPort": 80, "containerPort": 80, "protocol": "tcp"}]
    with prepared("t-spec"):
        place = "cnib-t-spec.n1"
        asked = attachment(place, first, {"type": "second"}, runtime_config={"portMappings": ports})
        added = recording.add(asked)
        recording.check(added)
        recording.delete(added)
    told = {p.name: json.loads(p.read_text()) for p in tmp_path.glob("*.json")}
    common = {"cniVersion": "1.0.0", "name": "net"}
    result = {"cniVersion": "1.0.0", "ips": [{"address": "10.1.2.3/24"}]}
    runtime = {"runtimeConfig": {"portMappings": ports}}
    assert told["first.ADD.json"] == common | {"type": "first", "x": 1} | runtime
    assert told["second.ADD.json"] == common | {"type": "second", "prevResult": result}
    assert told["first.DEL.json"] == told["first.ADD.json"] | {"prevResult": result}
    assert told["second.CHECK.json"] == told["second.ADD.json"]
    assert (tmp_path / "calls").read_text().splitlines() == [
        *("ADD first", "ADD second", "CHECK first", "CHECK second"),
        *("DEL second", "DEL first"),
    ]
    assert (tmp_path / "first.ADD.env").read_text().splitlines() == [
        "CNI_COMMAND=ADD",
        "CNI_CONTAINERID=pod-1",
        "CNI_IFNAME=eth0",
        f"CNI_NETNS=/run/netns/{place}",
        f"CNI_PATH={tmp_path}",
    ]
    assert added.address("ipv4") == "10.1.2.3"


def test_an_error_of_a_plugin_is_told_in_its_own_words(tmp_path: Path) -> None:
    answer = '{"code": 7, "msg": "no such master", "details": "eth9"}'
    with prepared("t-err"):
        asked = attachment("cnib-t-err.n1", {"type": "broken"})
        broken = failing(tmp_path, f"echo '{answer}'; exit 1")
        with pytest.raises(
            RefusedError,
            match=r"ADD of net in cnib-t-err\.n1: CNI plugin broken failed with code 7: "
            r"no such master; eth9",
        ):
            broken.add(asked)
        broken = failing(tmp_path, """echo '{"code": 11, "msg": "locked"}'; exit 1""")
        with pytest.raises(TransientError, match="locked"):
            broken.add(asked)
        broken = failing(tmp_path, "echo panic >&2; exit 2")
        with pytest.raises(RefusedError, match="panic"):
            broken.add(asked)


def test_a_plugin_that_hangs_is_ended_with_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cni, "CALL_TIMEOUT_S", 0.3)
    with prepared("t-hang"):
        broken = failing(tmp_path, "sleep 60 & wait")
        with pytest.raises(CnibenchError, match=r"broken did not end within 0\.3 s"):
            broken.add(attachment("cnib-t-hang.n1", {"type": "broken"}))
        target = target_named("t-hang")
        assert target.inventory(target.nodes()[0])["processes"] == frozenset()


def test_an_address_range_that_is_used_up_is_reported_and_nothing_stays() -> None:
    ipam = {
        "type": "host-local",
        "dataDir": "{state_dir}/ipam",
        "ranges": [[{"subnet": "10.244.9.0/30"}]],
    }
    with prepared("t-full") as target:
        target.install(variant("ptp-routes", ipam=ipam), "test")
        before = target.inventory(target.nodes()[0])
        with target.endpoint(pod("server", 0)):
            with pytest.raises(RefusedError, match="no IP addresses available"):
                target.endpoint(pod("client", 0)).__enter__()
            with target.endpoint(pod("other", 1)) as other:
                assert other.address == "10.244.9.2"
        assert target.inventory(target.nodes()[0]) == before


def test_ports_that_no_plugin_can_publish_are_refused() -> None:
    with prepared("t-port") as target:
        target.install(Catalog().plugins.load("macvlan"), "test")
        with pytest.raises(InputError, match=r"macvlan: .*portMappings"):
            target.endpoint(pod("server", 0, 80)).__enter__()


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        (
            {"mtu": "{pod_mut}"},
            InputError,
            r"plugin ptp-routes: install\.plugins\.0\.mtu: \{pod_mut\} is no placeholder",
        ),
        ({"type": "ptpp"}, InputError, r"there is no CNI plugin 'ptpp' .*there are .*ptp"),
        ({"type": "../../bin/sh"}, InputError, "there is no CNI plugin"),
    ],
)
def test_a_chain_that_cannot_be_used_is_refused_before_anything_is_changed(
    changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    with prepared("t-bad") as target:
        before = target.inventory(target.nodes()[0])
        with pytest.raises(error, match=message):
            target.install(variant("ptp-routes", **changes), "test")
        assert target.installation() is None
        assert target.inventory(target.nodes()[0]) == before


def test_binaries_of_another_version_are_refused() -> None:
    plugin = Catalog().plugins.load("ptp-routes")
    other = plugin.model_copy(update={"source": Source(name="x", version="v0.0.1")})
    with prepared("t-vers") as target:
        with pytest.raises(RefusedError, match=rf"v0\.0\.1, .*are {plugin.source.version}"):
            target.install(other, "test")
        assert isinstance(plugin.install, CniChain)
        old = plugin.install.model_copy(update={"cni_version": "9.0.0"})
        with pytest.raises(InputError, match=r"does not speak 9\.0\.0, only .*1\.0\.0"):
            target.install(plugin.model_copy(update={"install": old}), "test")


def test_a_second_plugin_is_refused_until_the_first_is_removed() -> None:
    with prepared("t-two") as target:
        target.install(Catalog().plugins.load("host-network"), "test")
        with pytest.raises(RefusedError, match="host-network is installed"):
            target.install(Catalog().plugins.load("macvlan"), "test")
        target.remove()
        with pytest.raises(RefusedError, match="no plugin is installed"):
            target.endpoint(pod("server", 0)).__enter__()


def test_the_fingerprint_tells_what_is_in_force() -> None:
    with prepared("t-print") as target:
        plugin = Catalog().plugins.load("ptp-vxlan")
        target.install(plugin, "one")
        first = target.installation()
        target.remove()
        target.install(plugin, "two")
        assert target.installation() == first, "equal installs have equal fingerprints"
        target._layout.conflist(target.nodes()[1]).write_text("{}")
        assert (changed := target.installation()) != first
        target.prepare()
        target.install(plugin, "three")
        assert target.installation() == first
        with netlink("cnib-t-print.n1") as own:
            own.set_link("vxlan.cnib", mtu=1400)
        assert target.installation() not in (first, changed)


def test_placeholders_keep_their_type_and_can_stand_inside_of_text() -> None:
    chain = CniChain.model_validate(
        {
            "mechanism": "cni-chain",
            "plugins": [{"type": "x", "mtu": "{pod_mtu}", "note": ["{uplink} at {pod_mtu}"]}],
            "inter_node": {"kind": "routes"},
        }
    )
    rendered = conflist.render("net", chain, {"pod_mtu": 1450, "uplink": "eth0"})
    assert rendered["plugins"] == [{"type": "x", "mtu": 1450, "note": ["eth0 at 1450"]}]


def test_plugins_tell_their_version_and_those_of_the_specification() -> None:
    runtime = Runtime(tools.cni_plugins())
    assert runtime.build_version("bridge") == Catalog().plugins.load("bridge-routes").source.version
    assert "1.1.0" in runtime.supported_versions("bridge")
