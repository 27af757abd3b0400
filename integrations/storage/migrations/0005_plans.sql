-- A plan runs or it does not: that is asked before each answer, and a workspace has few such entries among many others.
CREATE INDEX entry_plan ON entry (workspace, action, seq) WHERE action IN ('credit.plan_grant', 'credit.expire');
