-- Whether a run carried what it was told to: 95 % of its stated rate, which then decides
-- and not the plugin. The rate of a search for the highest one is none that was stated.
create macro if not exists is_at_stated_rate(
    traffic,
    throughput_bits_per_s,
    throughput_reverse_bits_per_s,
    offered_bits_per_s,
    pairs,
    transactions_per_s,
    offered_transactions_per_s
) as
    coalesce(
        -- Of two directions at once each has that rate; least() passes over null.
        least(
            throughput_bits_per_s, throughput_reverse_bits_per_s
        ) >= 0.95 * if(
            traffic = 'no-drop-stream',
            null,
            offered_bits_per_s * coalesce(pairs, 1)
        ),
        false
    )
    or coalesce(
        transactions_per_s >= 0.95 * offered_transactions_per_s,
        false
    );
