-- Does a setting keep what a profile made of it? Every setting as it was read back in
-- blocks whose profile does not set it, and as found before a profile set it.
with

installs as (
    select
        campaign,
        block,
        install_id,
        plugin,
        lag(block) over (
            partition by campaign order by started_at
        ) as block_before,
    from blocks
    where
        getvariable('campaign') is null or campaign = getvariable('campaign')
),

seen as (
    select campaign, install_id, node, settings, tuned,
    from nodes
    where
        getvariable('campaign') is null or campaign = getvariable('campaign')
),

in_force as (
    select
        campaign,
        install_id,
        node,
        list_transform(tuned, lambda t: t.name) as own,
        unnest(map_entries(settings)) as entry,
    from seen
),

found as (
    select campaign, install_id, node, unnest(tuned) as entry from seen
),

-- The two are apart: a plugin may change a setting as it is installed, after a
-- profile has looked at it.
readings as (
    select
        campaign, install_id, node,
        'in force' as moment, entry.key as setting, entry.value as value,
    from in_force
    where own is null or not list_contains(own, entry.key)
    union all by name
    select
        campaign, install_id, node,
        'before it was set' as moment,
        entry.name as setting, entry.before as value,
    from found
),

placed as (
    select
        readings.*,
        installs.plugin,
        installs.block,
        installs.block_before,
        mode(value order by value) over (
            partition by campaign, plugin, node, moment, setting
        ) as value_usual,
    from readings
    inner join installs using (campaign, install_id)
),

final as (
    select
        campaign,
        plugin,
        node,
        moment,
        setting,
        count(*) as readings,
        any_value(value_usual) as value_usual,
        list_sort(
            list(distinct value) filter (value is distinct from value_usual)
        ) as values_otherwise,
        list(block order by block) filter (
            value is distinct from value_usual
        ) as blocks_otherwise,
        list(block_before order by block) filter (
            value is distinct from value_usual
        ) as blocks_right_before,
    from placed
    group by all
)

select * from final
order by
    campaign, blocks_otherwise is null, plugin, node, setting, moment
