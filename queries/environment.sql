-- On what did the campaign run, and was it the same all the time?
with

seen as (
    select *
    from nodes
    where
        getvariable('campaign') is null or campaign = getvariable('campaign')
),

final as (
    select
        campaign,
        node,
        environment_class,
        environment_fingerprint,
        kernel,
        cpu_model,
        cpus,
        memory_bytes,
        cpu_nominal_hz,
        underlay_mtu_bytes,
        toolbox_digest,
        kube_proxy_mode,
        count(distinct block) as blocks,
        count(distinct boot_id) as boots,
    from seen
    group by all
)

select * from final
order by campaign, node, environment_fingerprint
