-- Which plugin, with which profile, moves the most over each path?
with

asked_for as (
    select *
    from measured_candidates
    where
        getvariable('campaign') is null or campaign = getvariable('campaign')
),

contenders as materialized (
    select
        campaign, cell, plugin, profile, blocks, mean, variance, is_at_stated_rate,
    from asked_for
    where not is_baseline and blocks > 0
),

-- A candidate is ahead of another when Welch's 95 % interval of the ratio of
-- their rates lies above 1. Being told apart is not transitive: one in the middle
-- may be neither behind the first nor ahead of the last. So each has the range of
-- places that the numbers allow, and those that are not told apart overlap.
pairs as (
    select
        behind.campaign,
        behind.cell,
        ahead.plugin as plugin_ahead,
        ahead.profile as profile_ahead,
        behind.plugin,
        behind.profile,
        ahead.mean - behind.mean as difference,
        welch_error(
            ahead.variance, ahead.blocks, behind.variance, behind.blocks
        ) as error,
        welch_freedom(
            ahead.variance, ahead.blocks, behind.variance, behind.blocks
        ) as freedom,
    from contenders as behind
    inner join contenders as ahead using (campaign, cell)
    where
        ahead.mean > behind.mean
        -- What both were told to carry and did, ranks neither.
        and not (ahead.is_at_stated_rate and behind.is_at_stated_rate)
),

decided as (
    select *
    from pairs
    -- Without any variance there is no freedom to speak of.
    where difference > 1e-12 + coalesce(t_95(freedom), 0) * error
),

behind_others as (
    select campaign, cell, plugin, profile, count(*) as others_ahead,
    from decided
    group by all
),

ahead_of_others as (
    select
        campaign,
        cell,
        plugin_ahead as plugin,
        profile_ahead as profile,
        count(*) as others_behind,
    from decided
    group by all
),

leaders as (
    select
        campaign,
        cell,
        max({
            'mean': mean,
            'plugin': plugin,
            'profile': profile,
            'variance': variance,
            'blocks': blocks,
        }) as leader,
    from contenders
    where mean is not null
    group by all
),

against_leader as (
    select
        contenders.*,
        leader.plugin = plugin and leader.profile = profile as is_leader,
        if(is_leader, null, mean - leader.mean) as difference,
        t_95(
            welch_freedom(
                variance, blocks, leader.variance, leader.blocks
            )
        ) * welch_error(
            variance, blocks, leader.variance, leader.blocks
        ) as half_width,
    from contenders
    left join leaders using (campaign, cell)
),

ranks as (
    select
        campaign,
        cell,
        plugin,
        profile,
        1 + coalesce(others_ahead, 0) as rank,
        count(*) over (partition by campaign, cell)
            - coalesce(others_behind, 0) as rank_max,
        is_leader,
        exp(difference) as rate_ratio,
        exp(difference - half_width) as rate_ratio_low,
        exp(difference + half_width) as rate_ratio_high,
    from against_leader
    left join behind_others using (campaign, cell, plugin, profile)
    left join ahead_of_others using (campaign, cell, plugin, profile)
),

final as (
    select
        campaign,
        path,
        traffic,
        cell,
        rank,
        rank_max,
        plugin,
        profile,
        is_baseline,
        blocks_planned,
        blocks,
        metric,
        rate_median,
        rate_min,
        rate_max,
        is_leader,
        is_at_stated_rate,
        rate_ratio,
        rate_ratio_low,
        rate_ratio_high,
        nullif(
            concat_ws(
                '; ',
                if(
                    is_imported,
                    'imported: no gate of cnibench saw the run',
                    null
                ),
                absent_because,
                if(
                    is_at_stated_rate,
                    'at its stated rate: compare CPU and latency',
                    null
                ),
                if(
                    blocks between 1 and 2,
                    'fewer than 3 blocks: the order may be chance',
                    null
                ),
                if(
                    environment_first != environment_last,
                    'blocks ran in different environments',
                    null
                )
            ),
            ''
        ) as note,
    from asked_for
    left join ranks using (campaign, cell, plugin, profile)
)

select * from final
order by
    campaign,
    cell,
    rank nulls last,
    rate_median desc nulls last,
    plugin,
    profile
