"""The cluster: executors, the stages of a job on them, and what becomes of losses.

members     *  who is registered, suspect, draining or gone
attempts    *  one fragment and its tries: which runs, which one counts
fragments   *  all fragments of a run, in versions that share what is the same
sums        *  what is asked of all of them together, kept as they change
layout      *  how many buckets, which of them a join takes, which side it takes whole
work        *  the fragments of a run, and what each needs of others
reach       *  who cannot reach whom, and where a run works then; severed: what it does again
stages      *  a run on the cluster: news in, launches, cancellations and its end out
placement   *  which fragment gets which free slot, fairly among jobs
counting       what is counted, for metrics
progress    *  how far a run has come, summed up from fragments
dispatch       carries the decisions out; the one place that knows all members and all runs
stream         the gRPC service that executors connect to
holder_process the child process that holds a run's sources, plans it and merges its files
host           `ClusterHost`: one run from claim to commit

`*` is pure: state and event in, state and actions out. The shells perform the actions in order.
What a try at a fragment leaves behind bears its name `(run, run attempt, stage, fragment,
attempt)`, and no name is used twice; so it is safe to lose one, to start another, and to hear
late or twice how one ended. Of each fragment one attempt counts, and only its files are committed.
"""
