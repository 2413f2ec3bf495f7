-- Does a tuned block change what the next untuned one measures? Blocks in which
-- nothing was set, apart by whether something was set in the block right before.
with

installs as (
    select
        campaign,
        install_id,
        profile,
        lag(install_id) over (
            partition by campaign order by started_at
        ) as install_before,
    from blocks
    where
        getvariable('campaign') is null or campaign = getvariable('campaign')
),

tunings as (
    select campaign, install_id, max(len(tuned)) > 0 as is_tuned,
    from nodes
    where
        getvariable('campaign') is null or campaign = getvariable('campaign')
    group by all
),

-- The first block comes after nothing, as after an untuned one.
untuned as (
    select
        installs.campaign,
        installs.install_id,
        coalesce(earlier.is_tuned, false) as is_after_tuned,
    from installs
    inner join tunings using (campaign, install_id)
    left join tunings as earlier
        on
            earlier.campaign = installs.campaign
            and earlier.install_id = installs.install_before
    where not tunings.is_tuned
),

measured as (
    select
        campaign,
        path,
        traffic,
        cell,
        plugin,
        profile,
        any_value(metric) as metric,
        count(*) filter (not is_after_tuned) as blocks_after_untuned,
        count(*) filter (is_after_tuned) as blocks_after_tuned,
        median(rate) filter (not is_after_tuned) as rate_median_after_untuned,
        median(rate) filter (is_after_tuned) as rate_median_after_tuned,
        count(rate_logarithm) = count(*) as all_moved,
        avg(rate_logarithm) filter (is_after_tuned)
            - avg(rate_logarithm) filter (not is_after_tuned) as difference,
        var_samp(rate_logarithm) filter (is_after_tuned) as variance_tuned,
        var_samp(rate_logarithm) filter (not is_after_tuned)
            as variance_untuned,
    from comparable
    inner join untuned using (campaign, install_id)
    where
        getvariable('campaign') is null or campaign = getvariable('campaign')
    group by all
),

compared as (
    select
        *,
        welch_error(
            variance_tuned,
            blocks_after_tuned,
            variance_untuned,
            blocks_after_untuned
        ) as error,
        coalesce(
            t_95(
                welch_freedom(
                    variance_tuned,
                    blocks_after_tuned,
                    variance_untuned,
                    blocks_after_untuned
                )
            ),
            0
        ) as width,
    from measured
),

final as (
    select
        campaign,
        path,
        traffic,
        cell,
        plugin,
        profile,
        blocks_after_untuned,
        blocks_after_tuned,
        metric,
        rate_median_after_untuned,
        rate_median_after_tuned,
        if(all_moved, exp(difference), null) as rate_ratio,
        if(all_moved, exp(difference - width * error), null) as rate_ratio_low,
        if(all_moved, exp(difference + width * error), null) as rate_ratio_high,
        case
            when blocks_after_tuned = 0
                then 'no block of it came after a tuned one'
            when blocks_after_untuned = 0
                then 'no block of it came after an untuned one'
            when not all_moved then 'a block moved nothing'
            when error is null then 'one block has no variation'
            when abs(difference) > 1e-12 + width * error
                then 'differs, by itself; of twenty cells one does by chance'
        end as note,
    from compared
)

select * from final
order by campaign, cell, plugin, profile
