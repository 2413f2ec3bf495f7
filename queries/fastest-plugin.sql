-- Which plugin, with which profile, moves the most over each path?
with

asked_for as (
    select *
    from measured_candidates
    where
        getvariable('campaign') is null or campaign = getvariable('campaign')
),

-- A number stands for the four names, since every pair is grouped by it.
contenders as materialized (
    select
        row_number() over () as candidate,
        campaign,
        cell,
        plugin,
        profile,
        blocks,
        mean,
        variance,
        is_at_stated_rate,
    from asked_for
    where not is_baseline and blocks > 0
),

-- A candidate is ahead of another when Welch's 95 % interval of the ratio of
-- their rates lies above 1. Being told apart is not transitive: one in the middle
-- may be neither behind the first nor ahead of the last. So each has the range of
-- places that the numbers allow, and those that are not told apart overlap.
pairs as (
    select
        ahead.candidate as ahead,
        behind.candidate as behind,
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
        -- Nothing is ahead of what carries all that it was told to.
        and not behind.is_at_stated_rate
),

decided as materialized (
    select ahead, behind,
    from pairs
    -- Without any variance there is no freedom to speak of.
    where difference > 1e-12 + coalesce(t_95(freedom), 0) * error
),

behind_others as (
    select behind as candidate, count(*) as others_ahead, from decided group by all
),

ahead_of_others as (
    select ahead as candidate, count(*) as others_behind, from decided group by all
),

leaders as (
    select
        campaign,
        cell,
        count(*) as candidates,
        max({
            'mean': mean,
            'plugin': plugin,
            'profile': profile,
            'candidate': candidate,
            'variance': variance,
            'blocks': blocks,
        }) filter (mean is not null) as leader,
    from contenders
    group by all
),

ranks as (
    select
        campaign,
        cell,
        plugin,
        profile,
        1 + coalesce(others_ahead, 0) as rank,
        candidates - coalesce(others_behind, 0) as rank_max,
        candidate is not distinct from leader.candidate as is_leader,
        if(is_leader, null, mean - leader.mean) as difference,
        t_95(
            welch_freedom(
                variance, blocks, leader.variance, leader.blocks
            )
        ) * welch_error(
            variance, blocks, leader.variance, leader.blocks
        ) as half_width,
        exp(difference) as rate_ratio,
        exp(difference - half_width) as rate_ratio_low,
        exp(difference + half_width) as rate_ratio_high,
    from contenders
    left join leaders using (campaign, cell)
    left join behind_others using (candidate)
    left join ahead_of_others using (candidate)
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
