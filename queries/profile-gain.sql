-- What does each tuning profile gain over untuned nodes?
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

-- Untuned is the profile under which nothing was set on any node that its runs
-- were measured on. So the nodes say it and no profile needs a certain name; of
-- several such profiles it is the first by name.
installs as (
    select campaign, install_id, any_value(profile) as profile,
    from runs
    group by all
),

settings as (
    select campaign, profile, max(len(tuned)) as settings,
    from installs
    inner join nodes using (campaign, install_id)
    group by all
),

untuned as (
    select campaign, min(profile) as base_profile,
    from settings
    where settings = 0
    group by all
),

asked_for as (
    select measured_candidates.*, untuned.base_profile,
    from measured_candidates
    left join untuned using (campaign)
    where
        getvariable('campaign') is null or campaign = getvariable('campaign')
),

-- Materialized, or DuckDB pairs every profile with every other one first.
base_runs as materialized (
    select campaign, cell, plugin, profile, repeat, rate, rate_logarithm,
    from runs
    semi join untuned
        on
            untuned.campaign = runs.campaign
            and untuned.base_profile = runs.profile
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
    from runs
    inner join base_runs as base using (campaign, cell, plugin, repeat)
    where runs.profile != base.profile
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
            and base.plugin = candidates.plugin
            and base.profile = base.base_profile
    left join pairs
        on
            pairs.campaign = candidates.campaign
            and pairs.cell = candidates.cell
            and pairs.plugin = candidates.plugin
            and pairs.profile = candidates.profile
    where candidates.profile is distinct from candidates.base_profile
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
        rate_ratio_of_pairs,
        rate_ratio_low,
        rate_ratio_high,
        cpu_per_work_ratio,
        case
            when blocks = 0 then absent_because
            when base_profile is null
                then 'no profile without settings was measured'
            when base_blocks = 0 then 'untuned: ' || base_absent_because
            when rate_ratio is null then 'untuned: its rate is zero'
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
                if(environments_differ, 'environments differ', null),
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
order by campaign, cell, plugin, rate_ratio desc nulls last, profile
