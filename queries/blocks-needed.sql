-- Which cells are inconclusive, and how many blocks would they need? Every candidate
-- is compared with the fastest of its cell, in the way of `cnibench compare`.
with

contenders as (
    select *
    from measured_candidates
    where
        not is_baseline
        and (
            getvariable('campaign') is null
            or campaign = getvariable('campaign')
        )
),

leaders as (
    select
        campaign,
        cell,
        arg_max({'plugin': plugin, 'profile': profile}, mean) as leader,
    from contenders
    group by all
),

compared as (
    select
        contenders.*,
        leader,
        coalesce(fastest.blocks, 0) as leader_blocks,
        fastest.is_at_stated_rate as leader_is_at_stated_rate,
        contenders.mean - fastest.mean as difference,
        sqrt((contenders.variance + fastest.variance) / 2) as deviation,
        welch_error(
            contenders.variance,
            contenders.blocks,
            fastest.variance,
            fastest.blocks
        ) as error,
        welch_freedom(
            contenders.variance,
            contenders.blocks,
            fastest.variance,
            fastest.blocks
        ) as freedom,
        coalesce(
            try_cast(getvariable('margin_percent') as double), 5
        ) as margin_percent,
    from contenders
    left join leaders using (campaign, cell)
    left join contenders as fastest
        on
            fastest.campaign = contenders.campaign
            and fastest.cell = contenders.cell
            and fastest.plugin = leader.plugin
            and fastest.profile = leader.profile
    where
        contenders.plugin is distinct from leader.plugin
        or contenders.profile is distinct from leader.profile
),

intervals_of as (
    select
        *,
        difference - coalesce(t_95(freedom), 0) * error as low,
        difference + coalesce(t_95(freedom), 0) * error as high,
        difference - coalesce(t_90(freedom), 0) * error as equal_low,
        difference + coalesce(t_90(freedom), 0) * error as equal_high,
        ln(1 + margin_percent / 100) as margin,
    from compared
),

final as (
    select
        campaign,
        path,
        traffic,
        cell,
        plugin,
        profile,
        leader.plugin as leader_plugin,
        leader.profile as leader_profile,
        blocks,
        leader_blocks,
        exp(difference) as rate_ratio,
        exp(low) as rate_ratio_low,
        exp(high) as rate_ratio_high,
        100 * deviation as variation_percent,
        case
            when blocks = 0 then 'not measured'
            when is_at_stated_rate and leader_is_at_stated_rate
                then 'at the stated rate'
            when error is null then 'inconclusive'
            when equal_low >= -margin and equal_high <= margin then 'equal'
            when high < -1e-12 then 'slower'
            else 'inconclusive'
        end as verdict,
        if(
            difference < 0,
            blocks_that_show(100 * (exp(-difference) - 1), deviation),
            null
        ) as blocks_needed_for_difference,
        blocks_that_show(margin_percent, deviation) as blocks_needed_for_margin,
        case
            when blocks = 0 then absent_because
            when error is null then 'one block has no variation: run two or more'
        end as note,
    from intervals_of
)

select * from final
order by
    campaign, cell, verdict, blocks_needed_for_margin desc nulls last,
    plugin, profile
