-- How much do independent blocks vary, by plugin and by the nodes that they ran on?
with

runs as (
    select campaign, traffic, cell, plugin, profile, install_id, rate,
    from comparable
    where
        getvariable('campaign') is null or campaign = getvariable('campaign')
),

places as (
    select
        campaign,
        install_id,
        string_agg(distinct node, ', ' order by node) as nodes,
    from nodes
    where
        getvariable('campaign') is null or campaign = getvariable('campaign')
    group by all
),

cells as (
    select
        campaign,
        plugin,
        nodes,
        traffic,
        count(*) as blocks,
        stddev_samp(rate) / nullif(avg(rate), 0) as variation,
    from runs
    left join places using (campaign, install_id)
    group by campaign, plugin, nodes, traffic, cell, profile
),

final as (
    select
        campaign,
        plugin,
        nodes,
        traffic,
        count(*) as cells,
        count(variation) as cells_with_variation,
        min(blocks) as blocks_min,
        100 * median(variation) as variation_percent_median,
        100 * max(variation) as variation_percent_max,
    from cells
    group by all
)

select * from final
order by campaign, traffic, variation_percent_median desc nulls last,
    plugin, nodes
