-- Which settings of a profile changed anything, and which did nodes lack?
with

candidates as (
    select distinct campaign, block, profile,
    from planned
    where
        getvariable('campaign') is null or campaign = getvariable('campaign')
),

tuned_settings as (
    select
        candidates.campaign,
        candidates.profile,
        unnest(nodes.tuned) as setting,
    from nodes
    inner join candidates using (campaign, block)
),

lacking_settings as (
    select
        campaign,
        profile,
        {'name': reason, 'before': null, 'intended': null, 'after': null} as setting,
    from (
        select
            candidates.campaign,
            candidates.profile,
            unnest(nodes.lacking) as reason,
        from nodes
        inner join candidates using (campaign, block)
    )
),

all_settings as (
    select * from tuned_settings
    union all
    select * from lacking_settings
),

final as (
    select
        campaign,
        profile,
        setting.name as setting,
        setting.before as value_before,
        setting.intended as value_intended,
        setting.after as value_after,
        if(
            setting.intended is not null,
            setting.before is distinct from setting.after,
            null
        ) as is_changed,
        count(*) as readings,
    from all_settings
    group by all
)

select * from final
order by campaign, profile, setting, value_before, value_after
