"""Each mistake in a file is told with its place, what was found, and what to write."""

from pathlib import Path

import pytest

from steps.lib.models import Matrix, TargetSpec
from tests.catalogs import CAMPAIGN, CHILD, MATRIX, PLUGIN, PROFILE, change, complaint, make_catalog
from tests.catalogs import loaded as load_catalog
from tests.jobs import TCP, matrix

# In a file, what is changed into what, and what is said: line, field, found, what to write.
MISTAKES = {
    CAMPAIGN: [
        ("seed:", "sead:", "8: sead: unknown field; did you mean 'seed'?"),
        ("seed: 1\n", "", "1: seed: is missing; add it (Order of blocks and cells)"),
        ("[plain", "[plane", "4: plugins: 'plane' is not in the catalog; did you mean 'plain'?"),
        ("[plain", "[zz", "4: plugins: 'zz' is not in the catalog; there are: derived, plain"),
        (" tuned]", " tund]", "5: profiles: 'tund' is not in the catalog; did you mean 'tuned'?"),
        ("small", "smal", "6: matrix: 'smal' is not in the catalog; did you mean 'small'?"),
        ("derived", "plain", "4: plugins.1: 'plain' stands twice; keep one"),
        ("[plain, derived]", "plain", "4: plugins: expected a list, found 'plain'; write [plain]"),
        ("[plain, derived]", "[]", "4: plugins: needs 1 or more entries, has 0 (Names of files"),
        (
            "{kind: namespaces}",
            "local",
            "3: target: expected a mapping of fields, found 'local'; i",
        ),
        ("namespaces", "namespace", "3: target.kind: 'namespace' is not possible; did you mean 'n"),
        (
            "namespaces",
            "kubernetes",
            "3: target.context: is missing; write the kubeconfig's cont",
        ),
        ("namespaces", "kubernetes, context: ''", "3: target.context: is missing; write the kubec"),
        ("namespaces", "namespaces, context: x", "3: target.context: is for kind kubernetes only;"),
        ("namespaces", "namespaces, families: [ipv4, ipv6]", "3: target.families: is for kind"),
        (
            "namespaces",
            "kubernetes, context: x, families: [ipv6]",
            "3: target.families: lacks ipv4",
        ),
        ("namespaces", "namespaces, external_client: {}", "3: target.external_client: is for kind"),
        ("namespaces", "namespaces, toolbox_image: x", "3: target.toolbox_image: is for kind kube"),
        ("2", "two", "7: repeats: expected a whole number, found 'two' (Independent blocks"),
        ("2", '"2"', "7: repeats: expected a whole number, found '2'; write 2 without quotes"),
        ("2", "2.5", "7: repeats: expected a whole number, found 2.5"),
        ("2", "true", "7: repeats: expected a whole number, found true"),
        ("2", "[2]", "7: repeats: expected a whole number, found a list"),
        (" 2", "", "7: repeats: expected a whole number, found nothing; write a value, or leave"),
        ("2", "0", "7: repeats: must be at least 1, found 0 (Independent blocks of each plugin"),
        ("name: fine", "name: [x]", "1: name: expected a text, found a list"),
        ("name: fine", "name: Fine", "1: name: expected 1 to 40 lower-case letters, digits and hy"),
        ("repeats", "\trepeats", "7: is not valid YAML: a tab stands where only blanks may; inden"),
        ("seed: 1", "seed: 1\nseed: 2", '9: is not valid YAML: found duplicate key "seed" with'),
        ("seed: 1", "seed: *x", "8: is not valid YAML: found undefined alias 'x'; look at this"),
        ("seed: 1", "---\na: 1", "8: is not valid YAML: a second document begins (`---`); write"),
    ],
    MATRIX: [
        ("omit_s", "omits", "11: traffic.0.omits: unknown field; did you mean 'omit_s'?"),
        (
            "id: udp",
            "id: tcp",
            "12: traffic.1.id: cell id 'cross-node.tcp' occurs twice; give each",
        ),
        (
            "omit_s: 0",
            "omit_s: 0\n    load: {streams: 3, message_bytes: 100, congestion_control: node, "
            "rate_bits_per_s: 100000}",
            "12: traffic.0.load: rate_bits_per_s 100000 is not a multiple of streams 3; each",
        ),
        (
            "omit_s: 0",
            "omit_s: 0\n    load: {streams: 600, message_bytes: 100, congestion_control: node}",
            "12: traffic.0.load.streams: must be at most 512, found 600",
        ),
        (
            "omit_s: 0",
            "omit_s: 0\n    scale: {services: 10001}",
            "12: traffic.0.scale.services: must be at most 10000, found 10001",
        ),
        (
            "- id: tcp\n",
            "- {id: h, kind: http1, connections: 1, response_bytes: 1000, duration_s: 1, "
            "omit_s: 1}\n  - id: tcp\n",
            "6: traffic.0.response_bytes: ",
        ),
        (
            "- id: tcp\n",
            "- {id: h, kind: http1, connections: 1, requests_each: 2, response_bytes: 64, "
            "duration_s: 1, omit_s: 1}\n  - id: tcp\n",
            "6: traffic.0.requests_each: 2 at once on a connection are for http2; write 1, and",
        ),
        (
            "omit_s: 0",
            "omit_s: 0\n    scale: {pods: 101}",
            "12: traffic.0.scale.pods: must be at most 100, found 101",
        ),
        (
            "omit_s: 0",
            "omit_s: 0\n    scale: {endpoints_each: 2}",
            "12: traffic.0.scale: neither `services` nor `pods`; write at least 1 of one",
        ),
        (
            "omit_s: 0",
            "omit_s: 0\n    policy: {kind: l8}",
            "12: traffic.0.policy.kind: 'l8' is not possible; write one of: allow, deny",
        ),
        (
            "omit_s: 0",
            "omit_s: 0\n    pairs: 65",
            "12: traffic.0.pairs: must be at most 64, found 65 (Pairs of pods",
        ),
        ("id: udp", f"id: {'u' * 41}", "12: traffic.1.id: expected 1 to 40 lower-case letters"),
        (
            "    rate_bits_per_s: 1000000\n",
            "",
            "12: traffic.1.rate_bits_per_s: is missing; add it (O",
        ),
        ("udp-stream", "upd-stream", "13: traffic.1.kind: 'upd-stream' is not possible; did you"),
        ("kind: udp-stream", "streams: 1", "12: traffic.1.kind: is missing; write one of: tcp-st"),
        ("[cross-node]", "[crossnode]", "4: paths.0: 'crossnode' is not possible; did you mean 'c"),
        (
            "[cross-node]",
            "[cross-node, cross-node]",
            "6: traffic.0.id: cell id 'cross-node.tcp' oc",
        ),
    ],
    PLUGIN: [
        ("carries", "carry", "9: paths.cross-node.carry: unknown field; did you mean 'carries'?"),
        ("title", "zz", "2: zz: unknown field; write one of: baseline, description, encapsulation"),
        ("  in-pod: no pods\n", "", "7: paths: path 'in-pod' is missing; add it to `paths` with"),
        (
            "  in-pod",
            "  cross-node: x\n  in-pod",
            "12: unsupported.cross-node: stands in `paths` too",
        ),
        ("  in-pod: no pods", "  in-pod: null", "7: paths: path 'in-pod' is missing; add it to"),
        ("  in-pod", "  inpod: null\n  in-pod", "12: unsupported.inpod: 'inpod' is not possible"),
        ("cross-node:", "crossnode:", "8: paths.crossnode: 'crossnode' is not possible; did you m"),
        ("client:eth0", "eth0", "9: paths.cross-node.carries.0: expected `<whose>:<device>`, for"),
        ("host-network", "host-net", "6: install.mechanism: 'host-net' is not possible; did you m"),
        ("[namespaces]", "[kubernetes]", "7: paths: path 'pod-service' is missing; add it to `pat"),
        ("host-network", "manifest, namespace: x", "4: source.url: is missing; mechanism 'manifes"),
        (" any", " any, url: http://x/a.yaml", "4: source.url: expected a text that matches ^http"),
        (" any", " any, url: https://x/a.tgz", "4: source.path: is missing; `url` is an archive:"),
        (" any", " any, path: a", "4: source.path: needs an archive (.tar.gz, .tgz) as `url`; lea"),
        (" any", " any, path: a/../b", "4: source.path: expected a text that matches"),
        (" any", " any, digest: abc", "4: source.digest: expected a text that matches ^sha256:"),
        (
            "paths:",
            "ready: {daemonsets: [agent]}\npaths:",
            "7: ready.daemonsets.0: expected a text that matches",
        ),
        (
            "paths:",
            "removes: {first: [{api_version: v1, kind: Node}]}\npaths:",
            "7: removes.first.0.name: is missing; add it",
        ),
        (
            "paths:",
            "families: [ipv6]\npaths:",
            "7: families: lacks ipv4, which nodes have always; add it",
        ),
        (
            "paths:",
            "policies: [l7]\npaths:",
            "7: policies.0: 'l7' is not possible; write one of: allow, deny, default-deny",
        ),
        (
            "paths:",
            "policies: [allow]\npaths:",
            "7: policies: nobody enforces them on the embedded target; add `rules: nftables`",
        ),
        (
            "install: {mechanism: host-network}\n",
            "families: [ipv4, ipv6]\ninstall: {mechanism: cni-chain, plugins: [{type: a}], "
            "inter_node: {kind: shared-link}}\n",
            "6: families: ipv6 has no way between nodes by 'shared-link'; write `kind: routes`",
        ),
        (
            "install: {mechanism: host-network}\n",
            "policies: [deny]\ninstall: {mechanism: cni-chain, plugins: [{type: a}], "
            "inter_node: {kind: routes}, rules: nftables}\n",
            "6: policies: rules know no `deny`; write allow and default-deny",
        ),
        (
            "install: {mechanism: host-network}\n",
            "families: [ipv4, ipv6]\ninstall: {mechanism: cni-chain, plugins: [{type: a}], "
            "inter_node: {kind: routes}, rules: nftables}\n",
            "6: families: rules of nftables are of ipv4 only; leave ipv6 out",
        ),
        ("name: plain", "name: plane", "1: name: is 'plane'; write 'plain', the name of the file"),
        ("name: plain", "extends: plain", "1: extends: runs in a circle: plain -> plain; take one"),
    ],
    CHILD: [
        (
            "plain",
            "plane",
            "1: extends: must name a file beside this one, found 'plane'; did you me",
        ),
        ("plain", "[plain]", "1: extends: must name a file beside this one, found a list; did you"),
        (" plain", "", "1: extends: must name a file beside this one, found nothing; there are: p"),
    ],
    PROFILE: [
        ("value: ", "valu: ", "4: entries.1.valu: unknown field; did you mean 'value'?"),
        ('"1"', "1", '4: entries.1.value: expected a text, found 1; write "1" (As read back;'),
        ('"1"', '""', "4: entries.1.value: needs 1 or more characters, has 0 (As read back;"),
        (
            "- {",
            "- no\n  - {",
            "4: entries.1: expected a mapping of fields, found 'no'; its fields",
        ),
        ("\n  - {", " {", "3: entries: expected a list, found a mapping"),
    ],
}

CONTENTS = [
    (b"", "1: is empty; write fields, one a line, as `name: value`"),
    (b"# nothing\n", "1: is empty; write fields, one a line, as `name: value`"),
    (b"- a\n", "1: expected a mapping of fields, found a list; write fields, one a line"),
    (b"hello\n", "1: expected a mapping of fields, found a text; write fields, one a line"),
    (b"name: [a\nb: c\n", "2: is not valid YAML: expected ',' or ']', but got ':'; look at this"),
    (b"name: a\nb: \xff\n", "2: is not UTF-8 text (byte 0xff); save it as UTF-8"),
    (b"name: a\nb: \0\n", "2: is not valid YAML: character '\\x00' is not allowed; take it away"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_catalog(tmp_path)


def test_the_catalog_of_these_tests_has_no_mistake(folder: Path) -> None:
    load_catalog(folder)


@pytest.mark.parametrize(
    ("file", "old", "new", "said"), [(f, *case) for f, cases in MISTAKES.items() for case in cases]
)
def test_a_mistake_is_told_with_its_place_and_its_cure(
    folder: Path, file: str, old: str, new: str, said: str
) -> None:
    change(folder / file, old, new)
    assert f"{file}:{said}" in complaint(folder)


@pytest.mark.parametrize(("content", "said"), CONTENTS)
def test_what_is_no_document_is_told_with_its_place_and_its_cure(
    folder: Path, content: bytes, said: str
) -> None:
    (folder / CAMPAIGN).write_bytes(content)
    assert f"{CAMPAIGN}:{said}" in complaint(folder)


def test_every_mistake_is_told_at_once(folder: Path) -> None:
    change(folder / CAMPAIGN, "repeats", "repeat")
    change(folder / CAMPAIGN, "seed: 1", "seed: x")
    fields = [line.split(": ")[1] for line in complaint(folder).splitlines()]
    assert fields == ["repeats", "seed", "repeat"]


def test_extends_in_a_circle_is_told_with_the_whole_circle(folder: Path) -> None:
    change(folder / PLUGIN, "name: plain", "extends: derived\nname: plain")
    assert complaint(folder) == (
        "plugins/derived.yaml:1: extends: runs in a circle: plain -> derived -> plain; "
        "take one `extends` away"
    )


def test_what_is_applied_to_an_api_server_is_for_kubernetes_only(folder: Path) -> None:
    change(folder / PLUGIN, " any", " any, url: https://example.org/a.yaml")
    change(folder / PLUGIN, "host-network", "manifest, namespace: x")
    assert complaint(folder).startswith(
        "plugins/plain.yaml:5: targets: mechanism 'manifest' exists on kubernetes only; write [kube"
    )


def test_a_target_travels_as_json_without_becoming_another() -> None:
    for fields in ({"kind": "namespaces"}, {"kind": "kubernetes", "context": "x"}):
        spec = TargetSpec.model_validate(fields)
        assert TargetSpec.model_validate_json(spec.model_dump_json()) == spec


def test_a_datagram_that_would_be_fragmented_is_told_with_the_largest_that_fits(
    folder: Path,
) -> None:
    change(folder / MATRIX, "message_bytes: 1000\n    rate", "message_bytes: 1473\n    rate")
    assert complaint(folder) == (
        "matrix small: traffic udp: message_bytes: 1473 does not fit unfragmented with plugin "
        "plain (pod MTU 1500); write at most 1472"
    )


def test_a_cell_id_that_argo_could_not_show_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    # Today's names are too short to reach the limit; a new path may be longer.
    monkeypatch.setattr("steps.lib.models.matrix.CELL_ID_LENGTH_MAX", 15)
    with pytest.raises(ValueError, match=r"'cross-node\.tcp-1' has 16 characters, of which 15 fit"):
        matrix(TCP)


def test_a_document_cannot_be_changed_after_loading() -> None:
    made: Matrix = matrix()
    with pytest.raises(ValueError, match="frozen"):
        made.name = "other"  # type: ignore[misc]
