use super::*;

#[test]
fn the_table_is_in_order_so_that_it_can_be_searched() {
    assert!(FORMATS.windows(2).all(|pair| pair[0].name < pair[1].name));
}
