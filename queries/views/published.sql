-- Figures that others have published, of what the matrices named after them measure.
-- One row per source, plugin and cell; low and high are equal where one figure is
-- published. `ours` are the plugins of the catalog that come closest, null where no row
-- of ours would be of the same thing; `component` is set where the figure is of one
-- part of the CPUs' work.
select * replace (
    published_low::double as published_low,
    published_high::double as published_high
)
from (
    values
    ('infrabuilder-2024', 'bare metal', ['host-network'], 'cross-node', 'tcp-stream', 1, null, 'Gbit/s', 31.4, 31.4),
    ('infrabuilder-2024', 'Calico eBPF', ['calico-ebpf'], 'cross-node', 'tcp-stream', 1, null, 'Gbit/s', 25.9, 25.9),
    ('infrabuilder-2024', 'kube-router', ['kube-router'], 'cross-node', 'tcp-stream', 1, null, 'Gbit/s', 22.7, 22.7),
    ('infrabuilder-2024', 'Cilium', ['cilium-vxlan'], 'cross-node', 'tcp-stream', 1, null, 'Gbit/s', 21.9, 21.9),
    ('infrabuilder-2024', 'Antrea', ['antrea-geneve'], 'cross-node', 'tcp-stream', 1, null, 'Gbit/s', 21.0, 21.0),
    ('infrabuilder-2024', 'Flannel', ['flannel-vxlan', 'bridge-vxlan'], 'cross-node', 'tcp-stream', 1, null, 'Gbit/s', 20.0, 20.0),
    ('infrabuilder-2024', 'Calico', ['calico-vxlan'], 'cross-node', 'tcp-stream', 1, null, 'Gbit/s', 19.7, 19.7),
    ('infrabuilder-2024', 'Canal', ['canal'], 'cross-node', 'tcp-stream', 1, null, 'Gbit/s', 16.4, 16.4),
    ('infrabuilder-2024', 'Kube-OVN', ['kube-ovn'], 'cross-node', 'tcp-stream', 1, null, 'Gbit/s', 11.1, 11.1),
    ('infrabuilder-2024', 'WireGuard variants', ['flannel-wireguard', 'calico-wireguard', 'cilium-wireguard', 'antrea-wireguard'], 'cross-node', 'tcp-stream', 1, null, 'Gbit/s', 7.9, 9.0),
    ('infrabuilder-2024', 'Antrea with IPsec', ['antrea-ipsec'], 'cross-node', 'tcp-stream', 1, null, 'Gbit/s', 6.9, 6.9),
    ('infrabuilder-2024', 'Cilium with IPsec', ['cilium-ipsec'], 'cross-node', 'tcp-stream', 1, null, 'Gbit/s', 4.8, 4.8),
    ('infrabuilder-2024', 'all plain variants', ['flannel-vxlan', 'bridge-vxlan', 'kube-router', 'cilium-vxlan'], 'cross-node', 'tcp-stream', 8, null, 'Gbit/s', 38.3, 39.5),
    ('qi-2020', 'Flannel', ['flannel-vxlan'], null, null, null, null, 'MB', 40.0, 50.0),
    ('qi-2020', 'kube-router', ['kube-router'], null, null, null, null, 'MB', 40.0, 50.0),
    ('qi-2020', 'Cilium', ['cilium-vxlan'], null, null, null, null, 'MB', 160.0, 200.0),
    ('qi-2020', 'Calico', ['calico-ipip'], null, null, null, null, 'MB', 160.0, 200.0),
    ('qi-2020', 'Weave', ['weave'], null, null, null, null, 'MB', 160.0, 200.0),
    ('qi-2020', 'netfilter: Flannel, Weave, kube-router, Calico without policy', ['flannel-vxlan', 'bridge-vxlan', 'kube-router'], 'same-node', 'tcp-stream', 1, 'netfilter', 'cycles per packet', 245.0, 245.0),
    ('qi-2020', 'netfilter: Calico with 17 default rules', null, 'same-node', 'tcp-stream', 1, 'netfilter', 'cycles per packet', 324.0, 324.0),
    ('qi-2020', 'Calico IPIP with policy', null, 'cross-node', 'tcp-stream', 1, null, 'cycles per packet', 749.0, 749.0),
    ('qi-2020', 'Cilium', null, 'cross-node', 'tcp-stream', 1, null, 'cycles per packet', 450.0, 450.0),
    ('cilium-2021', 'node to node, connections tracked', null, 'host-to-host', 'tcp-crr', 32, null, 'connections/s', 127000.0, 127000.0),
    ('dakic-2024', 'all', null, null, null, null, null, null, null, null)
) as figures (source, published_as, ours, path, traffic, streams, component, unit, published_low, published_high)
