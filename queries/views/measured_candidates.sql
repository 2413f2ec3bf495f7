-- Every candidate that was planned, with what its comparable runs come to. One row per
-- campaign, cell, plugin and profile.
--
-- Where a block moved nothing there is no mean: it must not drop out of one. A run
-- without a rate is of an object that lacks the column, and counts for nothing.
with

measured as (
    select
        campaign,
        cell,
        plugin,
        profile,
        any_value(metric) as metric,
        count(rate) as blocks,
        count(*) - count(rate) as blocks_without_rate,
        median(rate) as rate_median,
        min(rate) as rate_min,
        max(rate) as rate_max,
        mean_of_all(rate_logarithm, rate) as mean,
        var_samp(rate_logarithm) as variance,
        bool_and(is_at_stated_rate) as is_at_stated_rate,
        median(cpu_s_per_work) as cpu_s_per_work_median,
        min(environment) as environment_first,
        max(environment) as environment_last,
    from comparable
    group by all
),

final as (
    select
        asked.*,
        baseline_plugin,
        asked.plugin is not distinct from baseline_plugin as is_baseline,
        environment_class is not distinct from 'imported' as is_imported,
        measured.* exclude (
            campaign, cell, plugin, profile, blocks, blocks_without_rate
        ),
        coalesce(blocks, 0) as blocks,
        case
            when blocks > 0 then null
            when blocks_without_rate > 0
                then 'its runs have no rate: objects of another version lack it'
            when unsupported_reason is not null then unsupported_reason
            when environment_class = 'emulated'
                then 'emulated nodes are never compared, see coverage'
            else 'no comparable run, see coverage'
        end as absent_because,
    from asked
    left join campaigns using (campaign)
    left join measured using (campaign, cell, plugin, profile)
)

select * from final
