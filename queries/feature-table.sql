-- What is claimed of each plugin, and what was seen of it? As the catalog said when
-- the campaign was planned, beside what the gates of this campaign proved.
with

plugins as (
    select
        campaign,
        unnest(json_extract(document, '$.plugins[*]')) as plugin,
    from campaigns
    where
        json_valid(document)
        and (
            getvariable('campaign') is null
            or campaign = getvariable('campaign')
        )
),

features as (
    select
        campaign,
        json_extract_string(plugin, '$.name') as plugin,
        unnest(map_entries(
            json_extract(plugin, '$.features')::map(varchar, json)
        )) as feature,
    from plugins
),

claims as (
    select
        campaign,
        plugin,
        feature.key as feature,
        json_extract_string(feature.value, '$.source') as source,
        json_extract_string(feature.value, '$.verified') as verified,
        if(
            json_type(feature.value, '$.claimed') = 'ARRAY',
            array_to_string(
                json_extract(feature.value, '$.claimed')::varchar[], ', '
            ),
            json_extract_string(feature.value, '$.claimed')
        ) as claimed,
    from features
    where json_type(feature.value) = 'OBJECT'
),

-- Which gate proves a feature while cells are measured; between nodes, where the path is part of it.
proofs as (
    select * from (
        values
        ('dataplane', 'path-taken', null),
        ('encapsulation', 'path-taken', 'cross-node'),
        ('encryption', 'encryption', null)
    ) as proofs (feature, gate, only_path)
),

found as (
    select
        gate_findings.campaign,
        gate_findings.plugin,
        proofs.feature,
        sum(findings) filter (verdict = 'pass')::bigint as runs_passed,
        sum(findings) filter (verdict = 'fail')::bigint as runs_failed,
    from gate_findings
    inner join proofs
        on
            gate_findings.gate = proofs.gate
            and (
                proofs.only_path is null
                or proofs.only_path = gate_findings.path
            )
    where
        role = 'cell'
        and (
            getvariable('campaign') is null
            or campaign = getvariable('campaign')
        )
    group by all
),

final as (
    select
        campaign,
        plugin,
        feature,
        claimed,
        source,
        verified,
        gate,
        if(gate is null, null, coalesce(runs_passed, 0)) as runs_passed,
        if(gate is null, null, coalesce(runs_failed, 0)) as runs_failed,
    from claims
    left join proofs using (feature)
    left join found using (campaign, plugin, feature)
)

select * from final
order by campaign, plugin, feature
