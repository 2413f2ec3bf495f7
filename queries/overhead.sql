-- What does each plugin cost against the host network, in speed and in CPU?
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

baseline_runs as (
    select runs.*
    from runs
    inner join campaigns
        on
            campaigns.campaign = runs.campaign
            and campaigns.baseline_plugin = runs.plugin
),

-- The same repeat ran at about the same time, so that slow drift cancels out.
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
    inner join baseline_runs as base using (campaign, cell, profile, repeat)
    group by all
),

compared as (
    select
        asked.*,
        campaigns.baseline_plugin,
        asked_base.unsupported_reason as baseline_unsupported_reason,
        measured.metric,
        coalesce(measured.blocks, 0) as blocks,
        coalesce(base.blocks, 0) as baseline_blocks,
        coalesce(pairs.pairs, 0) as pairs,
        measured.rate_median,
        base.rate_median as baseline_rate_median,
        measured.rate_median / nullif(base.rate_median, 0) as rate_ratio,
        pairs.rate_ratio_min,
        pairs.rate_ratio_max,
        measured.cpu_s_per_work_median
            / nullif(base.cpu_s_per_work_median, 0) as cpu_per_work_ratio,
        least(measured.environment_first, base.environment_first)
            != greatest(measured.environment_last, base.environment_last)
            as environments_differ,
    from asked
    left join campaigns using (campaign)
    left join measured using (campaign, cell, plugin, profile)
    left join asked as asked_base
        on
            asked_base.campaign = asked.campaign
            and asked_base.cell = asked.cell
            and asked_base.profile = asked.profile
            and asked_base.plugin = campaigns.baseline_plugin
    left join measured as base
        on
            base.campaign = asked.campaign
            and base.cell = asked.cell
            and base.profile = asked.profile
            and base.plugin = campaigns.baseline_plugin
    left join pairs using (campaign, cell, plugin, profile)
    where asked.plugin is distinct from campaigns.baseline_plugin
),

final as (
    select
        campaign,
        path,
        traffic,
        cell,
        plugin,
        profile,
        blocks,
        baseline_blocks,
        pairs,
        metric,
        rate_median,
        baseline_rate_median,
        rate_ratio,
        rate_ratio_min,
        rate_ratio_max,
        cpu_per_work_ratio,
        case
            when blocks = 0
                then coalesce(unsupported_reason, 'no comparable run of the plugin, see coverage')
            when baseline_plugin is null
                then 'the campaign plans no baseline plugin'
            when baseline_blocks = 0
                then 'baseline: '
                    || coalesce(baseline_unsupported_reason, 'no comparable run, see coverage')
        end as reason,
        nullif(
            concat_ws(
                '; ',
                if(rate_ratio is not null and pairs < 3, 'fewer than 3 pairs of blocks', null),
                if(rate_ratio_min > 1, 'faster than the baseline in every pair: check the baseline', null),
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
order by campaign, path, traffic, cell, profile, rate_ratio desc nulls last, plugin
