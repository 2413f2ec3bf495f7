-- What do an overlay, encryption, policies, observability cost? Each variant of a
-- plugin beside the sibling that lacks it, by blocks of the same repeat.
with

variants_asked as (
    select *
    from variants
    where
        getvariable('campaign') is null or campaign = getvariable('campaign')
),

candidates_asked as (
    select asked.*, variants_asked.sibling, variants_asked.adds,
    from asked
    inner join variants_asked using (campaign, plugin)
    where
        getvariable('campaign') is null or campaign = getvariable('campaign')
),

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

-- Materialized, or DuckDB pairs every plugin with every other one first.
of_variants as materialized (
    select runs.*, variants_asked.sibling,
    from runs
    inner join variants_asked using (campaign, plugin)
),

measured as (
    select
        runs.campaign,
        runs.cell,
        runs.plugin,
        runs.profile,
        any_value(runs.metric) as metric,
        count(*) as pairs,
        median(runs.rate) as rate_median,
        median(plain.rate) as sibling_rate_median,
        mean_of_all(runs.rate_logarithm - plain.rate_logarithm, 1) as mean,
        half_width_95(runs.rate_logarithm - plain.rate_logarithm)
            as half_width,
        median(
            runs.cpu_s_per_work / nullif(plain.cpu_s_per_work, 0)
        ) as cpu_per_work_ratio,
        least(min(runs.environment), min(plain.environment))
            != greatest(max(runs.environment), max(plain.environment))
            as environments_differ,
    from of_variants as runs
    inner join runs as plain
        on
            plain.campaign = runs.campaign
            and plain.cell = runs.cell
            and plain.profile = runs.profile
            and plain.repeat = runs.repeat
            and plain.plugin = runs.sibling
    group by all
),

siblings as (
    select campaign, plugin as sibling, true as is_planned,
    from planned
    where
        getvariable('campaign') is null or campaign = getvariable('campaign')
    group by all
),

final as (
    select
        campaign,
        adds,
        path,
        traffic,
        cell,
        plugin,
        sibling,
        profile,
        coalesce(pairs, 0) as pairs,
        metric,
        rate_median,
        sibling_rate_median,
        exp(mean) as rate_ratio,
        exp(mean - half_width) as rate_ratio_low,
        exp(mean + half_width) as rate_ratio_high,
        cpu_per_work_ratio,
        nullif(
            concat_ws(
                '; ',
                if(
                    pairs is null,
                    coalesce(
                        unsupported_reason,
                        if(
                            is_planned,
                            'no repeat has a comparable run of both, '
                            'see coverage',
                            'the sibling is not in the campaign'
                        )
                    ),
                    null
                ),
                if(pairs < 3, 'fewer than 3 pairs of blocks', null),
                if(environments_differ, 'environments differ', null)
            ),
            ''
        ) as note,
    from candidates_asked
    left join siblings using (campaign, sibling)
    left join measured using (campaign, cell, plugin, profile)
)

select * from final
order by campaign, adds, plugin, cell, profile
