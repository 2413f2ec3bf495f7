-- What does each tuning profile gain over untuned nodes?
with

asked as (
    select
        campaign,
        path,
        traffic,
        cell,
        plugin,
        profile,
        any_value(unsupported_reason) as unsupported_reason,
    from planned
    where
        role = 'cell'
        and (
            getvariable('campaign') is null
            or campaign = getvariable('campaign')
        )
    group by all
),

runs as (
    select *
    from comparable
    where
        getvariable('campaign') is null or campaign = getvariable('campaign')
),

-- Untuned is the profile under which nothing was set on any node while its runs were measured: what
-- the nodes say, so no profile needs a certain name. Of several such, the first by name.
installs as (
    select campaign, block, any_value(profile) as profile,
    from runs
    group by all
),

profiles as (
    select
        installs.campaign,
        installs.profile,
        max(len(nodes.tuned)) as settings,
    from installs
    inner join nodes using (campaign, block)
    group by all
),

untuned as (
    select campaign, min(profile) as base_profile,
    from profiles
    where settings = 0
    group by all
),

measured as (
    select
        campaign,
        cell,
        plugin,
        profile,
        any_value(metric) as metric,
        count(*) as blocks,
        median(rate) as rate_median,
        median(cpu_s_per_work) as cpu_s_per_work_median,
        min(environment_fingerprint) as environment_first,
        max(environment_fingerprint) as environment_last,
    from runs
    group by all
),

base_runs as (
    select runs.*
    from runs
    inner join untuned
        on
            untuned.campaign = runs.campaign
            and untuned.base_profile = runs.profile
),

pairs as (
    select
        runs.campaign,
        runs.cell,
        runs.plugin,
        runs.profile,
        count(*) as pairs,
        min(runs.rate / nullif(base.rate, 0)) as rate_ratio_min,
        max(runs.rate / nullif(base.rate, 0)) as rate_ratio_max,
    from runs
    inner join base_runs as base using (campaign, cell, plugin, repeat)
    group by all
),

compared as (
    select
        asked.*,
        untuned.base_profile,
        measured.metric,
        coalesce(measured.blocks, 0) as blocks,
        coalesce(base.blocks, 0) as base_blocks,
        coalesce(pairs.pairs, 0) as pairs,
        measured.rate_median,
        base.rate_median as base_rate_median,
        measured.rate_median / nullif(base.rate_median, 0) as rate_ratio,
        pairs.rate_ratio_min,
        pairs.rate_ratio_max,
        measured.cpu_s_per_work_median
            / nullif(base.cpu_s_per_work_median, 0) as cpu_per_work_ratio,
        least(measured.environment_first, base.environment_first)
            != greatest(measured.environment_last, base.environment_last)
            as environments_differ,
    from asked
    left join untuned using (campaign)
    left join measured using (campaign, cell, plugin, profile)
    left join measured as base
        on
            base.campaign = asked.campaign
            and base.cell = asked.cell
            and base.plugin = asked.plugin
            and base.profile = untuned.base_profile
    left join pairs using (campaign, cell, plugin, profile)
    where asked.profile is distinct from untuned.base_profile
),

final as (
    select
        campaign,
        path,
        traffic,
        cell,
        plugin,
        profile,
        base_profile,
        blocks,
        base_blocks,
        pairs,
        metric,
        rate_median,
        base_rate_median,
        rate_ratio,
        rate_ratio_min,
        rate_ratio_max,
        cpu_per_work_ratio,
        case
            when unsupported_reason is not null
                then unsupported_reason
            when blocks = 0
                then 'no comparable run with the profile, see coverage'
            when base_profile is null
                then 'no profile without settings was measured'
            when base_blocks = 0
                then 'no comparable run with untuned nodes, see coverage'
        end as reason,
        nullif(
            concat_ws(
                '; ',
                if(rate_ratio is not null and pairs < 3, 'fewer than 3 pairs of blocks', null),
                if(environments_differ, 'measured in different environments', null),
                if(
                    rate_ratio is not null and cpu_per_work_ratio is null,
                    'CPU of the idle node or of the run is not known',
                    null
                )
            ),
            ''
        ) as note,
    from compared
)

select * from final
order by campaign, path, traffic, cell, plugin, rate_ratio desc nulls last, profile
