-- What may be concluded from a source's figures beside rows of ours. One row per source
-- and unit of its figures; unit is null where it has none that could be read.
select *
from (
    values
    ('infrabuilder-2024', 'Gbit/s', 'Not to be compared as numbers: another link (40 Gbit/s, MTU 9000), processor and versions. An order of plugins that differs by more than the spread is worth a look at MTU and offloads.'),
    ('qi-2020', 'MB', 'The order of magnitude may be compared: memory is of the plugin''s processes in both, of versions years apart; theirs is known second hand.'),
    ('qi-2020', 'cycles per packet', 'Not compared here: which packets and whose cycles is only known second hand. The question cycles-by-component has ours.'),
    ('cilium-2021', 'connections/s', 'Not compared: 32 processes at once there, one here.'),
    ('dakic-2024', null, 'Nothing can be concluded: its result tables could not be read, and its targets were ports of nodes.')
) as conclusions (source, unit, may_conclude)
