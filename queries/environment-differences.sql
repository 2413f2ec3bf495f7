-- In what do two campaigns differ, besides their results? Everything that is known of
-- machines, tools, method and plugins, one attribute a row.
with

dated as (
    select
        campaign,
        method_version,
        target,
        coalesce(
            nullif(getvariable('against'), campaign),
            lag(campaign) over (
                partition by environment_class is not distinct from 'imported'
                order by created_at, campaign
            )
        ) as against,
    from campaigns
),

compared_campaigns as (
    select campaign, against
    from dated
    where
        getvariable('campaign') is null or campaign = getvariable('campaign')
),

wanted as (
    select campaign from compared_campaigns
    union
    select against from compared_campaigns where against is not null
),

of_campaigns as (
    unpivot (
        select
            campaign,
            '' as whose,
            method_version::varchar as "method version",
            target,
        from dated
        semi join wanted using (campaign)
    )
    on "method version", target
    into name attribute value value
),

of_nodes as (
    unpivot (
        select
            campaign,
            'node ' || node as whose,
            environment_class as "class of environment",
            kernel,
            cpu_model as processor,
            cpus::varchar as processors,
            memory_bytes::varchar as "memory in bytes",
            cpu_nominal_hz::varchar as "nominal frequency in Hz",
            underlay_mtu_bytes::varchar as "MTU of the underlay in bytes",
            toolbox_digest as "tool box",
            kube_proxy_mode as "mode of kube-proxy",
        from nodes
        semi join wanted using (campaign)
    )
    on
        "class of environment", kernel, processor, processors,
        "memory in bytes", "nominal frequency in Hz",
        "MTU of the underlay in bytes", "tool box", "mode of kube-proxy"
    into name attribute value value
),

-- Only what a block left alone: what profiles set differs on purpose.
of_settings as (
    select
        campaign,
        'node ' || node as whose,
        'setting ' || entry.key as attribute,
        entry.value as value,
    from (
        select campaign, node, tuned, unnest(map_entries(settings)) as entry
        from nodes
        semi join wanted using (campaign)
    )
    where
        tuned is null
        or not list_contains(
            list_transform(tuned, lambda t: t.name), entry.key
        )
),

of_plugins as (
    unpivot (
        select
            campaign,
            'plugin ' || plugin as whose,
            plugin_version as version,
            plugin_fingerprint as fingerprint,
        from blocks
        semi join wanted using (campaign)
    )
    on version, fingerprint
    into name attribute value value
),

of_tools as (
    select distinct
        campaign,
        'tool ' || tool as whose,
        'version' as attribute,
        tool_version as value,
    from measurements
    semi join wanted using (campaign)
    where tool is not null and tool_version is not null
),

attributes as (
    select
        campaign,
        whose,
        attribute,
        string_agg(distinct value, ' | ' order by value) as value,
    from (
        select * from of_campaigns
        union all by name select * from of_nodes
        union all by name select * from of_settings
        union all by name select * from of_plugins
        union all by name select * from of_tools
    )
    group by all
),

-- Either side may lack what the other has.
both_sides as (
    select campaign, against, whose, attribute
    from compared_campaigns
    inner join attributes using (campaign)
    union
    select compared_campaigns.campaign, against, whose, attribute
    from compared_campaigns
    inner join attributes on attributes.campaign = compared_campaigns.against
),

final as (
    select
        both_sides.*,
        mine.value as value,
        theirs.value as value_against,
        if(
            against is null,
            null,
            mine.value is distinct from theirs.value
        ) as is_different,
    from both_sides
    left join attributes as mine
        on
            mine.campaign = both_sides.campaign
            and mine.whose = both_sides.whose
            and mine.attribute = both_sides.attribute
    left join attributes as theirs
        on
            theirs.campaign = both_sides.against
            and theirs.whose = both_sides.whose
            and theirs.attribute = both_sides.attribute
)

select * from final
order by campaign, is_different desc nulls last, whose, attribute
