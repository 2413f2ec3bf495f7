-- What may be concluded from a source's figures beside rows of ours. One row per source
-- and unit of its figures; unit is null where it has none that could be read.
select *
from (
    values
    ('infrabuilder-2024', 'Gbit/s', 'Not to be compared as numbers: another link (40 Gbit/s, MTU 9000), processor and versions, and on a single kernel no link at all. An order of plugins that differs by more than the spread is worth a look at MTU and offloads.'),
    ('qi-2020', 'MB', 'The order of magnitude may be compared: memory is of the plugin''s processes in both, of versions years apart; theirs is known second hand.'),
    ('qi-2020', 'cycles per packet', 'At most the order of magnitude of netfilter''s part: theirs are counted cycles, ours are estimated ones where there are no counters, shared out by samples; which packets theirs are of is only known second hand. Other parts are not compared; the question cycles-by-component has ours.'),
    ('cilium-2021', 'connections/s', 'Not compared: 32 processes at once there, one here. Whether connections are tracked has to be equal: our rows say it.'),
    ('dakic-2024', null, 'Nothing can be concluded: its result tables could not be read, and its targets were ports of nodes.')
) as conclusions (source, unit, may_conclude)
