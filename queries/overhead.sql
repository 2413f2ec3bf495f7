-- What does each plugin cost against the host network, in speed and in CPU?
with

runs as (
    select *
    from comparable
    where
        rate is not null
        and (
            getvariable('campaign') is null
            or campaign = getvariable('campaign')
        )
),

asked_for as (
    select *
    from measured_candidates
    where
        getvariable('campaign') is null or campaign = getvariable('campaign')
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
        mean_of_all(runs.rate_logarithm - base.rate_logarithm, 1) as mean,
        half_width_95(runs.rate_logarithm - base.rate_logarithm) as half_width,
        bool_or(runs.connections_tracked != base.connections_tracked)
            as tracking_differs,
    from runs
    inner join runs as base using (campaign, cell, profile, repeat)
    where base.is_baseline and not runs.is_baseline
    group by all
),

compared as (
    select
        candidates.*,
        base.absent_because as base_absent_because,
        coalesce(base.blocks, 0) as base_blocks,
        base.rate_median as base_rate_median,
        coalesce(pairs.pairs, 0) as pairs,
        candidates.rate_median / nullif(base.rate_median, 0) as rate_ratio,
        pairs.rate_ratio_min,
        pairs.rate_ratio_max,
        pairs.tracking_differs,
        exp(pairs.mean) as rate_ratio_of_pairs,
        exp(pairs.mean - pairs.half_width) as rate_ratio_low,
        exp(pairs.mean + pairs.half_width) as rate_ratio_high,
        candidates.cpu_s_per_work_median
            / nullif(base.cpu_s_per_work_median, 0) as cpu_per_work_ratio,
        least(candidates.environment_first, base.environment_first)
            != greatest(candidates.environment_last, base.environment_last)
            as environments_differ,
    from asked_for as candidates
    left join asked_for as base
        on
            base.campaign = candidates.campaign
            and base.cell = candidates.cell
            and base.profile = candidates.profile
            and base.plugin = base.baseline_plugin
    left join pairs
        on
            pairs.campaign = candidates.campaign
            and pairs.cell = candidates.cell
            and pairs.profile = candidates.profile
            and pairs.plugin = candidates.plugin
    where candidates.plugin is distinct from candidates.baseline_plugin
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
        base_blocks,
        pairs,
        metric,
        rate_median,
        base_rate_median,
        rate_ratio,
        rate_ratio_min,
        rate_ratio_max,
        rate_ratio_of_pairs,
        rate_ratio_low,
        rate_ratio_high,
        cpu_per_work_ratio,
        case
            when blocks = 0 then absent_because
            when baseline_plugin is null
                then 'the campaign plans no baseline plugin'
            when base_blocks = 0 then 'baseline: ' || base_absent_because
            when rate_ratio is null then 'baseline: its rate is zero'
        end as reason,
        nullif(
            concat_ws(
                '; ',
                if(
                    rate_ratio is not null and pairs = 0,
                    'no pair of blocks',
                    null
                ),
                if(pairs between 1 and 2, 'fewer than 3 pairs of blocks', null),
                if(
                    rate_ratio_min > 1,
                    'ahead of the baseline in every pair: check the baseline',
                    null
                ),
                if(environments_differ, 'environments differ', null),
                if(
                    tracking_differs,
                    'the kernel tracks connections on one side only',
                    null
                ),
                if(
                    is_at_stated_rate,
                    'at its stated rate: compare CPU and latency',
                    null
                ),
                if(
                    rate_ratio is not null and cpu_per_work_ratio is null,
                    'the CPU of its own is not known',
                    null
                )
            ),
            ''
        ) as note,
    from compared
)

select * from final
order by campaign, cell, profile, rate_ratio desc nulls last, plugin
