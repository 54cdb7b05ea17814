-- Schema gate is the only door from a substation into the shared schema: views and SECURITY DEFINER functions.
-- Who knocks is the role that the transaction took (SET LOCAL ROLE), which SQL inside a tenant can't change
-- (kameng.db.guard; DO and set_config are revoked).
CREATE OR REPLACE FUNCTION gate.caller_id() RETURNS bigint
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    caller bigint;
BEGIN
    SELECT s.id INTO caller FROM public.tenants_substation s WHERE s.schema_name = current_setting('role');
    IF caller IS NULL THEN
        RAISE EXCEPTION 'Only a substation may call this.' USING ERRCODE = 'KG001';
    END IF;
    RETURN caller;
END
$$;
GRANT EXECUTE ON FUNCTION gate.caller_id() TO kameng_tenant;

-- The plan's part of the shop's terms; what the splits need is beside it in gate.split_terms().
CREATE OR REPLACE FUNCTION gate.my_plan()
RETURNS TABLE (substation_id bigint, plan_code text, supply_level text, platform_fee_bps integer, state text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT s.id, p.code::text, p.supply_level::text, p.platform_fee_bps, s.state::text
    FROM public.tenants_substation s JOIN public.tenants_plan p ON p.id = s.plan_id
    WHERE s.id = gate.caller_id()
$$;
GRANT EXECUTE ON FUNCTION gate.my_plan() TO kameng_tenant;
