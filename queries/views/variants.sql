-- What a plugin has more than its sibling, as its file in the catalog said when the
-- campaign was planned. One row per campaign and plugin that names a sibling.
with

plugins as (
    select
        campaign,
        unnest(json_extract(document, '$.plugins[*]')) as plugin,
    from campaigns
    where json_valid(document)
),

final as (
    select
        campaign,
        json_extract_string(plugin, '$.name') as plugin,
        json_extract_string(plugin, '$.variant.of') as sibling,
        json_extract_string(plugin, '$.variant.adds') as adds,
    from plugins
)

select * from final
where sibling is not null
