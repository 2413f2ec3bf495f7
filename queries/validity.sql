-- What did the validity gates find, and which attempts were given up for noise?
with

attempts as (
    select
        campaign,
        started_at,
        block,
        cell,
        unnest(rejected_attempts) as entry,
    from measurements
    where
        len(rejected_attempts) > 0
        and (
            getvariable('campaign') is null
            or campaign = getvariable('campaign')
        )
),

findings as (
    select
        campaign,
        gate,
        verdict,
        sum(findings)::bigint as findings,
        arg_min(
            {
                'block': example.block,
                'cell': example.cell,
                'evidence': example.evidence,
            },
            (example.started_at, example.block, example.cell)
        ) as example,
    from gate_findings
    where
        getvariable('campaign') is null or campaign = getvariable('campaign')
    group by all
    union all by name
    -- A reason starts with the gate that gave the attempt up.
    select
        campaign,
        split_part(entry.reason, ':', 1) as gate,
        'attempt rejected' as verdict,
        count(*) as findings,
        arg_min(
            {'block': block, 'cell': cell, 'evidence': entry.reason},
            (started_at, block, cell)
        ) as example,
    from attempts
    group by all
),

final as (
    select
        campaign,
        gate,
        verdict,
        findings,
        example.block as example_block,
        example.cell as example_cell,
        example.evidence as example_evidence,
    from findings
)

select * from final
order by campaign, gate, verdict
